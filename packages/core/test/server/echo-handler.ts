import type { Socket } from "node:net";
import type { ConnectionHandler } from "../../src/services/connection-handler.ts";

/** Sends back what it receives. A line `throw` makes it throw, `reject` leaves a rejection alone. */
export class EchoHandler implements ConnectionHandler {
  readonly #sockets = new Set<Socket>();

  handle(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
    socket.on("data", (data) => {
      if (data.toString() === "throw\n") throw new Error("thrown by the handler");
      if (data.toString() === "reject\n") void Promise.reject(new Error("rejected by the handler"));
      socket.write(data);
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
