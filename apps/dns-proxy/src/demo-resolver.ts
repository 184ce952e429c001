import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { answerTo } from "./demo-zone.ts";

/** What a datagram may hold when the question does not say otherwise (RFC 1035, 4.2.1). */
const MAX_DATAGRAM_BYTES = 512;

/** A small DNS server on a port of 127.0.0.1, for UDP and TCP, that knows the zone `demo` and says who it is. */
export class DemoResolver implements AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly #udp: DatagramSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();

  private constructor(name: string, port: number, udp: DatagramSocket, tcp: Server) {
    this.name = name;
    this.port = port;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on("message", (question, from) => {
      const answer = answerTo(question, name, MAX_DATAGRAM_BYTES);
      if (answer !== undefined) udp.send(answer, from.port, from.address);
    });
    tcp.on("connection", (socket) => this.#serve(socket));
  }

  /** Starts one. With port 0, the system chooses one that is free for both. */
  static async start(name: string, port = 0): Promise<DemoResolver> {
    for (;;) {
      const tcp = createServer().listen(port, "127.0.0.1");
      await once(tcp, "listening");
      const chosen = (tcp.address() as { port: number }).port; // it listens on a port
      const udp = createSocket("udp4");
      try {
        udp.bind(chosen, "127.0.0.1");
        await once(udp, "listening");
        return new DemoResolver(name, chosen, udp, tcp);
      } catch (error) {
        // The port that the system chose for TCP may be taken for UDP.
        udp.close();
        tcp.close();
        if (port !== 0) throw error;
      }
    }
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = [once(this.#udp, "close"), once(this.#tcp, "close")];
    this.#udp.close();
    this.#tcp.close();
    for (const socket of this.#connections) socket.destroy();
    await Promise.all(closed);
  }

  /** Each message has its length in front (RFC 1035, 4.2.2). */
  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(30_000, () => socket.destroy());
    let unread: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      while (unread.length >= 2 && unread.length >= 2 + unread.readUInt16BE(0)) {
        const end = 2 + unread.readUInt16BE(0);
        const answer = answerTo(unread.subarray(2, end), this.name);
        unread = unread.subarray(end);
        if (answer === undefined) {
          socket.destroy();
          return;
        }
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
      }
    });
  }
}
