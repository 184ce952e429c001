import type { Socket } from "node:net";
import type { ConnectionHandler } from "../../src/services/connection-handler.ts";
import type { ServiceContext } from "../../src/services/service.ts";

/**
 * Sends back what it receives. Some lines do something instead: `throw` throws, `reject` leaves a rejection alone,
 * `thread` is answered with the number of the thread, `exit` ends the thread.
 */
export class EchoHandler implements ConnectionHandler {
  readonly #sockets = new Set<Socket>();
  #thread = 0;

  start({ thread }: ServiceContext): void {
    this.#thread = thread.index;
  }

  handle(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("data", (data) => {
      const text = data.toString();
      if (text === "throw\n") throw new Error("thrown by the handler");
      if (text === "reject\n") void Promise.reject(new Error("rejected by the handler"));
      if (text === "exit\n") process.exit(7);
      socket.write(text === "thread\n" ? `${this.#thread}\n` : data);
    });
    socket.on("end", () => socket.end());
    socket.resume();
  }

  async drain(force: AbortSignal): Promise<void> {
    const closed = Array.from(this.#sockets, (socket) => new Promise((resolve) => socket.once("close", resolve)));
    const destroy = (): void => {
      for (const socket of this.#sockets) socket.destroy();
    };
    if (force.aborted) destroy();
    else force.addEventListener("abort", destroy);
    await Promise.all(closed);
  }
}
