import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A way to an address on which every byte, and every end, takes a while, in both directions. */
export class SlowNetwork implements AsyncDisposable {
  /** @param delayMs How long each direction takes. */
  static async to(address: string, delayMs: number): Promise<SlowNetwork> {
    const network = new SlowNetwork(address, delayMs);
    network.#server.listen(0, "127.0.0.1");
    await once(network.#server, "listening");
    return network;
  }

  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #delayMs: number;

  private constructor(address: string, delayMs: number) {
    const [host = "", port] = address.split(":");
    this.#delayMs = delayMs;
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ host, port: Number(port), allowHalfOpen: true });
      this.#relay(near, far);
      this.#relay(far, near);
    });
  }

  /** The near end. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // it listens on a port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (data) => setTimeout(() => to.write(data), this.#delayMs));
    from.on("end", () => setTimeout(() => to.end(), this.#delayMs));
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      setTimeout(() => to.destroy(), this.#delayMs);
    });
  }
}
