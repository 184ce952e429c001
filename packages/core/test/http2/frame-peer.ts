import type { Socket } from "node:net";
import { ACK, FrameType, PREFACE, settings } from "./frames.ts";

/** A frame that was received. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** The settings that a client begins with; or `"none"` behind its preface, or `"nothing"` at all. */
export type FirstSettings = readonly (readonly [id: number, value: number])[] | "none" | "nothing";

/** A client that sends frames of its own making, and keeps what it gets. It acknowledges settings and nothing else. */
export class FramePeer implements Disposable {
  readonly socket: Socket;
  readonly frames: ReceivedFrame[] = [];
  closed = false;
  readonly #acknowledges: boolean;
  #unread: Buffer = Buffer.alloc(0);
  readonly #watchers = new Set<() => void>();

  /** @param first Settings to begin with, or what to send in their place: the preface alone, or nothing. */
  constructor(socket: Socket, first: FirstSettings = []) {
    this.socket = socket;
    this.#acknowledges = typeof first !== "string";
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
    if (first === "none") this.send(PREFACE);
    else if (first !== "nothing") this.send(PREFACE, settings(first));
  }

  send(...frames: readonly Buffer[]): this {
    if (!this.closed) this.socket.write(Buffer.concat(frames));
    return this;
  }

  /** The first frame that fits, which came or will come. */
  async frame(type: number, stream?: number): Promise<ReceivedFrame> {
    const find = (): ReceivedFrame | undefined =>
      this.frames.find((one) => one.type === type && (stream === undefined || one.stream === stream));
    await this.until(() => find() !== undefined, `frame ${type} on stream ${stream}`);
    return find() as ReceivedFrame; // just waited for
  }

  /** Resolves when both sides have acknowledged each other's settings. */
  async greeted(): Promise<void> {
    const isAck = ({ type, flags }: ReceivedFrame): boolean => type === FrameType.settings && flags === ACK;
    await this.frame(FrameType.settings);
    await this.until(() => this.frames.some(isAck), "an acknowledgement");
  }

  /** The code of the reset of a stream. */
  async resetCode(stream: number): Promise<number> {
    return (await this.frame(FrameType.rstStream, stream)).payload.readUInt32BE(0);
  }

  /** The code of the last GOAWAY, when the connection has closed. */
  async goawayCode(): Promise<number | undefined> {
    await this.whenClosed();
    return this.frames.findLast((one) => one.type === FrameType.goaway)?.payload.readUInt32BE(4);
  }

  async whenClosed(): Promise<void> {
    if (this.closed) return;
    await new Promise<void>((resolve) => this.#watchers.add(() => this.closed && resolve()));
  }

  /** Waits until something is true of the frames. Fails when the connection closes before. */
  until(isTrue: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (isTrue()) resolve();
        else if (this.closed) reject(new Error(`closed without ${what}; got ${JSON.stringify(this.summary())}`));
        else return;
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Types and streams of the frames received. */
  summary(): readonly string[] {
    const names = Object.keys(FrameType);
    return this.frames.map(({ type, stream }) => `${names[type]} ${stream}`);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < 9 + length) break;
      const [type = 0, flags = 0] = this.#unread.subarray(3, 5);
      const stream = this.#unread.readUInt32BE(5) & 0x7fffffff;
      const payload = this.#unread.subarray(9, 9 + length);
      this.#unread = this.#unread.subarray(9 + length);
      this.frames.push({ type, flags, stream, payload });
      if (this.#acknowledges && type === FrameType.settings && (flags & ACK) === 0) {
        const acknowledgement = settings();
        acknowledgement[4] = ACK;
        this.send(acknowledgement);
      }
    }
    this.#changed();
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}
