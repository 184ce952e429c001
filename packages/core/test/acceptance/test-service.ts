import { once } from "node:events";
import type { Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import type { AcceptedConnection } from "../../src/listeners/accepted-connection.ts";
import { ListeningService } from "../../src/services/listening-service.ts";
import { type TestContext, testContext } from "../server/test-context.ts";
import { RawPeer } from "../wire/raw-peer.ts";
import { Recorder } from "../wire/recorder.ts";

/** A listening service whose handler echoes, with what it was given at hand. */
export class TestService implements AsyncDisposable {
  readonly service: ListeningService;
  readonly context: TestContext = testContext();
  /** What came to the handler. */
  readonly handled = new Recorder<{ readonly socket: Socket; readonly accepted: AcceptedConnection }>();
  readonly #peers: (RawPeer | TLSSocket)[] = [];
  #stopped = false;

  private constructor() {
    this.service = new ListeningService("echo", {
      handle: (socket, accepted) => {
        socket.on("error", () => {});
        socket.on("data", (data) => socket.write(data));
        socket.on("end", () => socket.end());
        this.handled.add({ socket, accepted });
        socket.resume();
      },
      drain: async () => {
        for (const { socket } of this.handled.items) socket.destroy();
      },
    });
  }

  /** @param add Adds the addresses. */
  static async start(add: (service: ListeningService) => void): Promise<TestService> {
    const test = new TestService();
    add(test.service);
    await test.service.start(test.context);
    return test;
  }

  /** The address of the first listener. */
  get address(): string {
    return this.service.addresses()[0] ?? "";
  }

  get port(): number {
    return Number(this.address.slice(this.address.lastIndexOf(":") + 1));
  }

  /** A client that sends what it is told to. */
  async client(): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.address.startsWith("unix:") ? this.address.slice(5) : this.port);
    this.#peers.push(peer);
    return peer;
  }

  /** A client whose TLS handshake has succeeded; the certificate of the server is not verified. Rejects when it fails. */
  async tlsClient(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connect({ host: "127.0.0.1", port: this.port, rejectUnauthorized: false, ...options });
    this.#peers.push(socket);
    await once(socket, "secureConnect");
    socket.on("error", () => {});
    return socket;
  }

  /** Connects with TLS, and says what that came to: an echo, or the code and message of the error. */
  async tlsOutcome(options: ConnectionOptions = {}): Promise<string> {
    const socket = connect({ host: "127.0.0.1", port: this.port, rejectUnauthorized: false, ...options });
    this.#peers.push(socket);
    const closed = new Promise<string>((resolve) => {
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(`${error.code} ${error.message}`));
      socket.on("close", () => resolve("closed"));
    });
    socket.write("echoed");
    return Promise.race([closed, once(socket, "data").then(String)]);
  }

  /** How many connections were refused for a reason. */
  async refused(reason: string): Promise<number> {
    return this.metric(`cirque_connections_refused_total.*reason="${reason}".*`);
  }

  /** The value of the first series whose name and labels match; 0 when there is none. */
  async metric(pattern: string): Promise<number> {
    const text = await this.context.metrics.exposition();
    return Number(new RegExp(`^${pattern} ([0-9]+)$`, "m").exec(text)?.[1] ?? 0);
  }

  /** The reasons and clients of the refusals that were logged. */
  get refusals(): readonly { readonly reason: unknown; readonly clientAddress: unknown; readonly message: string }[] {
    return this.context.logger.records
      .filter(({ fields }) => fields.reason !== undefined)
      .map(({ fields, message }) => ({ reason: fields.reason, clientAddress: fields.clientAddress, message }));
  }

  async stop(force: AbortSignal): Promise<void> {
    this.#stopped = true;
    await this.service.stop(force);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.#peers) {
      if ("destroy" in peer) peer.destroy();
      else peer[Symbol.dispose]();
    }
    if (!this.#stopped) await this.stop(AbortSignal.abort());
  }
}
