import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { settled } from "./raw-peer.ts";

/** Listens, accepts nothing, and has no room for more connections: the next one gets no answer. */
export class SilentListener {
  readonly address: string;
  readonly #worker: Worker;
  readonly #fillers: readonly Socket[];

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.address = `127.0.0.1:${port}`;
    this.#fillers = Array.from({ length: 8 }, () => connect({ port, host: "127.0.0.1" }).on("error", () => {}));
  }

  static async start(): Promise<SilentListener> {
    // Its thread stands still, so that it never accepts.
    const worker = new Worker(
      `const { parentPort } = require("node:worker_threads");
       const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
         parentPort.postMessage(server.address().port);
         setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
       });`,
      { eval: true },
    );
    const [port] = await once(worker, "message");
    const listener = new SilentListener(worker, port);
    await settled();
    return listener;
  }

  async stop(): Promise<void> {
    for (const socket of this.#fillers) socket.destroy();
    await this.#worker.terminate();
  }
}
