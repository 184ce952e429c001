import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { FrameType, SETTINGS, SETTINGS_ACK } from "./http2-frames.ts";
import { Recorder } from "./recorder.ts";

/** A frame as it was received. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

const PREFACE_BYTES = 24;

/** A connection to an origin that sends frames as it is told, and keeps those that it receives. */
export class RawHttp2Connection {
  readonly socket: Socket;
  readonly frames: Recorder<ReceivedFrame> = new Recorder<ReceivedFrame>();
  /** Streams that were opened, in order. */
  readonly streamIds: Recorder<number> = new Recorder<number>();
  #buffered: Buffer = Buffer.alloc(0);
  #inPreface = true;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
  }

  /** Sends frames in one write. */
  send(...frames: readonly Buffer[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  #take(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk]);
    if (this.#inPreface) {
      if (this.#buffered.length < PREFACE_BYTES) return;
      this.#buffered = this.#buffered.subarray(PREFACE_BYTES);
      this.#inPreface = false;
    }
    while (this.#buffered.length >= 9) {
      const length = this.#buffered.readUIntBE(0, 3);
      if (this.#buffered.length < 9 + length) return;
      const frame = {
        type: this.#buffered.readUInt8(3),
        flags: this.#buffered.readUInt8(4),
        streamId: this.#buffered.readUInt32BE(5),
        payload: this.#buffered.subarray(9, 9 + length),
      };
      this.#buffered = this.#buffered.subarray(9 + length);
      if (frame.type === FrameType.Settings && frame.flags === 0) this.send(SETTINGS_ACK);
      if (frame.type === FrameType.Headers) this.streamIds.add(frame.streamId);
      this.frames.add(frame);
    }
  }
}

/** An origin of HTTP/2 without TLS, frame by frame. */
export class RawHttp2Origin implements AsyncDisposable {
  readonly address: string;
  readonly connections: Recorder<RawHttp2Connection> = new Recorder<RawHttp2Connection>();
  readonly #server: Server;

  private constructor(server: Server, greeting: Buffer) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`; // it listens on a port
    server.on("connection", (socket) => {
      const connection = new RawHttp2Connection(socket);
      if (greeting.length > 0) connection.send(greeting);
      this.connections.add(connection);
    });
  }

  /** @param greeting What each connection begins with; empty SETTINGS if nothing else is said. */
  static async start(greeting: Buffer = SETTINGS): Promise<RawHttp2Origin> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new RawHttp2Origin(server, greeting);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const { socket } of this.connections.items) socket.destroy();
    await closed;
  }
}
