import { createHash } from "node:crypto";
import { once } from "node:events";
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { Pool } from "undici";

/** How the requests of one client went. */
export interface Tally {
  readonly client: string;
  done: number;
  /** Failed for good, and why. */
  readonly failed: string[];
  /**
   * Requests that a kept connection ended without an answer to. RFC 9112, 9.3.1 has clients send those that are idempotent
   * again; they are counted all the same.
   */
  readonly unanswered: string[];
}

/** Clients that send one request after another, without pause, until they are stopped. */
export class Traffic implements AsyncDisposable {
  readonly tallies: readonly Tally[];
  readonly #running: Promise<void>;
  readonly #progress = new Set<() => void>();
  #stopped = false;

  constructor(address: string) {
    const clients = Object.entries(clientKinds).map(([name, start]) => ({ name, client: start(address) }));
    this.tallies = clients.map(({ name }) => ({ client: name, done: 0, failed: [], unanswered: [] }));
    this.#running = Promise.all(
      clients.map(({ client }, index) => this.#run(client, this.tallies[index] as Tally)), // one for each client
    ).then(() => {});
  }

  /** Resolves when each client has completed so many more requests. */
  async more(requests: number): Promise<void> {
    const targets = this.tallies.map((tally) => tally.done + tally.failed.length + requests);
    while (this.tallies.some(({ done, failed }, index) => done + failed.length < (targets[index] as number))) {
      await new Promise<void>((resolve) => this.#progress.add(resolve));
    }
  }

  /** Resolves when the requests under way are over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(client: Client, tally: Tally): Promise<void> {
    while (!this.#stopped) {
      try {
        await client.request();
        tally.done++;
      } catch (error) {
        if (client.unanswered?.(error)) tally.unanswered.push(String(error));
        else tally.failed.push(`${error} ${error instanceof Error ? error.cause : ""}`);
      }
      for (const wake of this.#progress) wake();
      this.#progress.clear();
    }
    await client.close();
  }
}

interface Client {
  /** Sends one request. Rejects unless it is answered as it should be. */
  request(): Promise<void>;
  /** Whether the error says that a kept connection ended before a byte of the answer. */
  unanswered?(error: unknown): boolean;
  close(): Promise<void>;
}

const clientKinds: Readonly<Record<string, (address: string) => Client>> = {
  "fresh connections": freshConnections,
  "node:http agent, GET": (address) => nodeAgent(address, "GET"),
  "node:http agent, POST": (address) => nodeAgent(address, "POST"),
  "undici pool, GET": (address) => undiciPool(address, "GET"),
  "undici pool, POST": (address) => undiciPool(address, "POST"),
};

/** A connection for each request. */
function freshConnections(address: string): Client {
  const [host = "", port] = address.split(":");
  return {
    async request() {
      const socket = connect({ host, port: Number(port) });
      socket.write(`GET / HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`);
      const answer = await text(socket);
      if (!answer.startsWith("HTTP/1.1 200 OK\r\n") || !answer.endsWith("\r\n\r\nhello")) {
        throw new Error(`answered ${JSON.stringify(answer)}`);
      }
    },
    async close() {},
  };
}

/** The connections of an agent are kept. */
function nodeAgent(address: string, method: Method): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let sent: ClientRequest | undefined;
  return {
    async request() {
      sent = httpRequest(`http://${address}/`, { agent, method });
      sent.end(bodyOf(method));
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      checkAnswer(method, response.statusCode, await text(response));
    },
    unanswered: (error) => sent?.reusedSocket === true && codeOf(error) === "ECONNRESET",
    async close() {
      agent.destroy();
    },
  };
}

function undiciPool(address: string, method: Method): Client {
  const pool = new Pool(`http://${address}`, { connections: 1 });
  return {
    async request() {
      const { statusCode, body } = await pool.request({ path: "/", method, body: bodyOf(method) ?? null });
      checkAnswer(method, statusCode, await body.text());
    },
    unanswered: (error) => ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"].includes(codeOf(error)),
    close: () => pool.close(),
  };
}

type Method = "GET" | "POST";

const postBody = Buffer.alloc(20_000, "body ");
const postHash = createHash("sha256").update(postBody).digest("hex");

function bodyOf(method: Method): Buffer | undefined {
  return method === "POST" ? postBody : undefined;
}

function checkAnswer(method: Method, status: number | undefined, body: string): void {
  const expected = method === "GET" ? "hello" : postHash;
  if (status !== 200 || body !== expected) throw new Error(`answered ${status}: ${body}`);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
