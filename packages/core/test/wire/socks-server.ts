import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { Recorder } from "./recorder.ts";

/** How a SOCKS proxy behaves. */
export interface SocksBehaviour {
  /** Whom it lets in; without, it asks nobody. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** What it replies to every request (RFC 1928, 6), in place of connecting. */
  readonly reply?: number;
}

/** A SOCKS 5 proxy (RFC 1928, RFC 1929) for tests: names lead to 127.0.0.1, and replies name an address of their own. */
export class SocksServer implements AsyncDisposable {
  readonly address: string;
  /** What it was asked to connect to: `1 127.0.0.1:80`, `3 a.example:80`, `4 0:0:...:1:80`. */
  readonly requests = new Recorder<string>();
  readonly #server: Server;
  readonly #sockets: Socket[] = [];

  private constructor(server: Server, behaviour: SocksBehaviour) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
    server.on("connection", (socket) => {
      this.#sockets.push(socket.on("error", () => {}));
      this.#serve(socket, behaviour).catch(() => socket.destroy());
    });
  }

  static async start(behaviour: SocksBehaviour = {}): Promise<SocksServer> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new SocksServer(server, behaviour);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(socket: Socket, { credentials, reply }: SocksBehaviour): Promise<void> {
    const [, count = 0] = await take(socket, 2);
    const methods = await take(socket, count);
    const method = credentials === undefined ? 0 : methods.includes(2) ? 2 : 0xff;
    socket.write(Buffer.from([5, method]));
    if (method === 0xff) return;
    if (credentials !== undefined) {
      const [, nameLength = 0] = await take(socket, 2);
      const username = String(await take(socket, nameLength));
      const [secretLength = 0] = await take(socket, 1);
      const password = String(await take(socket, secretLength));
      const wrong = username !== credentials.username || password !== credentials.password;
      // Byte by byte, as the network may.
      socket.write(Buffer.from([1]));
      setImmediate(() => socket.write(Buffer.from([wrong ? 1 : 0])));
      if (wrong) return;
    }
    const [, , , type = 0] = await take(socket, 4);
    const [length = 0] = type === 3 ? await take(socket, 1) : [type === 1 ? 4 : 16];
    const host = hostOf(type, await take(socket, length));
    const port = (await take(socket, 2)).readUInt16BE();
    this.requests.add(`${type} ${host}:${port}`);
    if (reply !== undefined) {
      socket.write(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
      return;
    }
    const onward = connect(port, type === 3 ? "127.0.0.1" : host);
    this.#sockets.push(onward.on("error", () => socket.destroy()));
    await once(onward, "connect");
    const bound = "proxy.example";
    socket.write(Buffer.from([5, 0, 0, 3, bound.length, ...Buffer.from(bound), 0, 80]));
    socket.pipe(onward).pipe(socket);
  }
}

async function take(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    if (length === 0) return Buffer.alloc(0);
    const read: Buffer | null = socket.read(length);
    if (read !== null) return read;
    await once(socket, "readable");
  }
}

function hostOf(type: number, bytes: Buffer): string {
  if (type === 3) return String(bytes);
  if (type === 1) return bytes.join(".");
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(":");
}
