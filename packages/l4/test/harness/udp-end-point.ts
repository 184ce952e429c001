import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";

/** A datagram that came. */
export interface Received {
  readonly data: Buffer;
  readonly from: RemoteInfo;
}

/** A UDP socket, client or upstream, that keeps what it receives. */
export class UdpEndPoint implements AsyncDisposable {
  readonly socket: Socket;
  readonly received: Received[] = [];
  readonly #watchers: (() => void)[] = [];
  #taken = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("message", (data, from) => {
      this.received.push({ data, from });
      for (const watcher of this.#watchers.splice(0)) watcher();
    });
    socket.on("error", () => {});
  }

  static async bind(host = "127.0.0.1", port = 0): Promise<UdpEndPoint> {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    socket.bind(port, host);
    await once(socket, "listening");
    return new UdpEndPoint(socket);
  }

  /** One that answers each datagram. */
  static async answering(answer: (data: Buffer) => string | Buffer): Promise<UdpEndPoint> {
    const point = await UdpEndPoint.bind();
    point.socket.on("message", (data, from) => point.socket.send(answer(data), from.port, from.address));
    return point;
  }

  get port(): number {
    return this.socket.address().port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  send(data: string | Buffer, to: string): void {
    const colon = to.lastIndexOf(":");
    this.socket.send(data, Number(to.slice(colon + 1)), to.slice(0, colon).replace(/^\[|\]$/g, ""));
  }

  /** The next datagram. */
  async next(): Promise<Received> {
    for (;;) {
      const found = this.received[this.#taken];
      if (found !== undefined) {
        this.#taken += 1;
        return found;
      }
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve);
      });
    }
  }

  async text(): Promise<string> {
    return (await this.next()).data.toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.socket, "close");
    this.socket.close();
    await closed;
  }
}
