import type { IncomingHttpHeaders } from "node:http";
import { Client, type Dispatcher } from "undici";

/** A client with one connection, and so with one thread of the gateway. */
export class ThreadClient implements AsyncDisposable {
  /** So many clients of each of two threads. The system chooses by the client's port, so this tries until they are enough. */
  static async ofBoth(address: string, count: number): Promise<readonly [ThreadClient[], ThreadClient[]]> {
    const first: ThreadClient[] = [];
    const second: ThreadClient[] = [];
    while (first.length < count || second.length < count) {
      const client = new ThreadClient(address);
      const those = (await client.thread()) === 1 ? first : second;
      if (those.length < count) those.push(client);
      else await client[Symbol.asyncDispose]();
    }
    return [first, second];
  }

  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(`http://${address}`);
  }

  /** Sends GET, and returns the response; its body has to be read. */
  send(path: string, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    return this.#client.request({ method: "GET", path, ...(signal && { signal }) });
  }

  /** Sends GET, and returns status and fields of the response. */
  async get(path = "/"): Promise<{ readonly status: number; readonly headers: IncomingHttpHeaders }> {
    const { statusCode, headers, body } = await this.send(path);
    await body.dump();
    return { status: statusCode, headers };
  }

  /** The thread that serves this client. */
  async thread(): Promise<number> {
    const { headers } = await this.get();
    return Number(String(headers["served-by"]).split("/")[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.destroy();
  }
}
