import type { OnReadOpts, Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { formatSocketEnd } from "../address/socket-address.ts";
import { Deadline } from "./deadline.ts";
import { type AfterRead, BULK_BYTES, readOptions, withReadOptions } from "./read-buffer.ts";
import { turnTime } from "./turn-time.ts";

/** Who is told what happens on a connection. Changing hands (a pool, another request) is changing the listener. */
export interface ConnectionListener {
  /** Bytes came. The buffer belongs to the listener. */
  onBytes(chunk: Buffer): void;
  /** The peer will send nothing more; it may still read. */
  onEnd(): void;
  /** What was written has left; `write` may go on. */
  onDrain(): void;
  /** The connection is gone: the last call, made exactly once. */
  onClose(error: Error | undefined): void;
}

/** The addresses of both ends of a socket. */
interface SocketEnds {
  readonly peerAddress: string;
  readonly localAddress: string;
}

/** Bytes waiting to leave at which `write` asks to stop: with what is in the kernel, enough to keep a fast peer busy. */
const HIGH_WATER_BYTES = 64 * 1024;

/** Up to this size, head and body are joined before they are written; above, two writes in one system call are cheaper. */
const JOIN_BYTES = 8 * 1024;

/** A closing connection reads on for so long, and so much, that the peer can get what was sent last (RFC 9112, 9.6). */
const LINGER_MS = 2_000;
const LINGER_BYTES = 1024 * 1024;

/**
 * A connection as bytes both ways: a thin skin over a socket that keeps streams' machinery away from the sessions.
 */
export class Connection {
  readonly socket: Socket;
  /** When it was made, in milliseconds of `performance.now()`. */
  readonly establishedAt: number = turnTime();
  /**
   * The peer's address and port, `127.0.0.1:1234`; `unix:` for a Unix socket. Asked for at once: a socket that is closed
   * has forgotten it, and then is when logs want to know.
   */
  readonly remoteAddress: string;
  /** Our address and port. */
  readonly localAddress: string;
  /** How many exchanges it has carried. */
  exchanges = 0;
  /** Who is told what happens. */
  listener: ConnectionListener;
  /**
   * Whether large reads come in a buffer that is only lent: it is good during `onBytes`, and if that pauses the connection,
   * until it is resumed. For whoever passes bytes on with `writeLent`: no buffer is made for each read.
   */
  lendsReads = false;
  /** What broke the connection, if it broke. */
  error: Error | undefined;
  #paused = true;
  /** What leaves at the end of the turn: heads as text, or a head with its small body. */
  #held: string | Buffer = "";
  /** Whether something lent waits to leave, and what is told when it has. */
  #lentIsWaiting = false;
  #onWritten: (() => void) | undefined;

  /**
   * Nothing is read before `resume`.
   * @param ends The addresses of both ends, if they have been asked for before.
   */
  constructor(socket: Socket, listener: ConnectionListener, ends?: SocketEnds) {
    this.socket = socket;
    this.listener = listener;
    this.remoteAddress = ends?.peerAddress ?? formatSocketEnd(socket.remoteAddress, socket.remotePort);
    this.localAddress = ends?.localAddress ?? formatSocketEnd(socket.localAddress, socket.localPort);
    (socket as Bound)[CONNECTION] = this;
    socket.on("data", onData);
    socket.pause();
    socket.on("end", onEnd);
    socket.on("drain", onDrain);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  /** Whether it can still be written to. */
  get writable(): boolean {
    return this.socket.writable;
  }

  get closed(): boolean {
    return this.socket.destroyed;
  }

  /** The TLS socket, if it is one: its methods tell protocol, cipher and certificates. */
  get tls(): TLSSocket | undefined {
    return "encrypted" in this.socket ? (this.socket as TLSSocket) : undefined;
  }

  /**
   * Writes bytes, or a latin1 string. What is small leaves at the end of this turn of the event loop, together with what
   * else is written until then.
   * @returns false when enough is waiting: stop, and go on at `onDrain`.
   */
  write(data: Buffer | string): boolean {
    if (typeof data === "string") this.#hold(data);
    else if (data.length <= JOIN_BYTES) this.#holdPiece(data);
    else this.#writeLarge(data);
    return !this.full;
  }

  /** Writes bytes between two latin1 strings, in one system call. */
  writeBetween(prefix: string, data: Buffer, suffix: string): boolean {
    if (data.length <= JOIN_BYTES) {
      this.#holdBetween(prefix, data, suffix);
    } else {
      this.#hold(prefix);
      this.#writeLarge(data);
      if (suffix !== "") this.#hold(suffix);
    }
    return !this.full;
  }

  /**
   * Writes what was read from a connection that lends its reads.
   * @returns false when the source has to be paused until `onDrain`: enough is waiting, or the buffer is in use.
   */
  writeLent(data: Buffer): boolean {
    if (data.length < BULK_BYTES) return this.write(data);
    this.#onWritten ??= () => this.#lentWasWritten();
    this.#writeLarge(data, this.#onWritten);
    this.#lentIsWaiting = this.socket.writableLength > 0;
    return !this.#lentIsWaiting;
  }

  /** Whether `write` would be asked to stop. */
  get full(): boolean {
    return this.socket.writableLength >= HIGH_WATER_BYTES;
  }

  /** How much waits to leave. It falls as the peer takes it, also in the middle of a large piece. */
  get unsentBytes(): number {
    const { writableLength } = this.socket;
    if (writableLength === 0) return 0;
    // The system's own count is no part of the documented interface, but Node's `setTimeout` of sockets goes by it, too.
    const { _handle: handle } = this.socket as unknown as { _handle?: { writeQueueSize?: number } | null };
    return writableLength + (handle?.writeQueueSize ?? 0);
  }

  /** No more `onBytes`, but for what is on its way. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  /** Says that nothing more will be sent, behind what was written. */
  end(): void {
    this.flush();
    this.socket.end();
  }

  /** Sends what is held back until the end of the turn. */
  flush(): void {
    if (this.#held === "") return;
    const held = this.#held;
    this.#held = "";
    if (typeof held === "string") this.socket.write(held, "latin1");
    else this.socket.write(held);
  }

  /**
   * Closes so that the peer gets what was written: ends, then reads and drops until the peer ends too, within bounds.
   * Closing at once would reset the connection while the peer is still sending, and lose the last response with it.
   * @param stallMs How long the peer may take nothing of what was written.
   */
  closeGracefully(stallMs: number): void {
    if (this.closed) return;
    this.end();
    this.listener = new Lingering(this, this.listener, stallMs);
    this.resume();
  }

  /** Closes at once. */
  destroy(error?: Error): void {
    this.#held = "";
    this.socket.destroy(error);
  }

  /** Closes at once with a reset, so that the peer cannot take what it got for the whole. */
  reset(): void {
    this.#held = "";
    const { socket } = this;
    // While the end itself is leaving, with all that was written before it, the system refuses to reset, and Node would
    // never close what it refused. The other end gets the whole either way.
    const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
    // Unix sockets and TLS know no reset.
    const canReset = "resetAndDestroy" in socket && this.tls === undefined && this.remoteAddress !== "unix:";
    if (canReset && !isEnding) socket.resetAndDestroy();
    else this.destroy();
  }

  /** Lets go of the socket, for another reader: nothing listens to it any more, and nothing is read from it. */
  release(): Socket {
    const { socket } = this;
    this.pause();
    socket.off("data", onData).off("end", onEnd).off("drain", onDrain).off("error", onError).off("close", onClose);
    return socket;
  }

  #hold(text: string): void {
    if (typeof this.#held !== "string") this.flush();
    const first = this.#held === "";
    this.#held += text;
    if (this.#held.length > JOIN_BYTES * 2) this.flush();
    else if (first) flushAtEndOfTurn(this);
  }

  /** A small piece alone is held as it is; only what comes to it in the same turn costs a copy. */
  #holdPiece(data: Buffer): void {
    if (this.#held !== "") {
      this.#holdBetween("", data, "");
      return;
    }
    this.#held = data;
    flushAtEndOfTurn(this);
  }

  /** What is held, and a small piece of data between two texts, in one buffer: nearly always a whole response. */
  #holdBetween(prefix: string, data: Buffer, suffix: string): void {
    if (typeof this.#held !== "string") this.flush();
    const first = this.#held === "";
    const text = this.#held + prefix;
    const dataEnd = text.length + data.length;
    const joined = Buffer.allocUnsafe(dataEnd + suffix.length);
    joined.write(text, "latin1");
    data.copy(joined, text.length);
    if (suffix !== "") joined.write(suffix, dataEnd, "latin1");
    this.#held = joined;
    if (first) flushAtEndOfTurn(this);
  }

  #writeLarge(data: Buffer, onWritten?: () => void): void {
    const { socket } = this;
    if (this.#held === "") {
      socket.write(data, onWritten);
      return;
    }
    socket.cork();
    this.flush();
    socket.write(data, onWritten);
    socket.uncork();
  }

  /** The event `drain` comes only when the high-water mark was reached; what is lent waits below it as well. */
  #lentWasWritten(): void {
    if (!this.#lentIsWaiting || this.socket.writableLength > 0) return;
    this.#lentIsWaiting = false;
    this.listener.onDrain();
  }
}

/** Drops what still comes on a connection that is closing. */
class Lingering implements ConnectionListener {
  readonly #connection: Connection;
  readonly #former: ConnectionListener;
  readonly #timer: Deadline;
  readonly #stallMs: number;
  #stalledMs = 0;
  #unsent: number;
  #left = LINGER_BYTES;

  constructor(connection: Connection, former: ConnectionListener, stallMs: number) {
    this.#connection = connection;
    this.#former = former;
    this.#stallMs = stallMs;
    this.#unsent = connection.unsentBytes;
    this.#timer = new Deadline(() => this.#look());
    this.#timer.set(LINGER_MS);
  }

  /** The time to linger runs from when everything has left; a slow peer is waited for as long as it takes something. */
  #look(): void {
    const unsent = this.#connection.unsentBytes;
    if (this.#unsent === 0 || this.#stalledMs >= this.#stallMs) {
      this.#connection.destroy();
      return;
    }
    this.#stalledMs = unsent < this.#unsent ? 0 : this.#stalledMs + LINGER_MS;
    this.#unsent = unsent;
    this.#timer.set(LINGER_MS);
  }

  onBytes(chunk: Buffer): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) return;
    if (this.#connection.unsentBytes === 0) this.#connection.destroy();
    else this.#connection.pause();
  }

  onEnd(): void {
    // With both sides ended the socket closes by itself, once everything has left.
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.#timer.dispose();
    this.#former.onClose(error);
  }
}

/**
 * Connections with something to send at the end of this turn. A proxy that writes in between, sixty times a turn, wakes
 * the processes at the other ends as often, and each time that costs more than the write. (Redis does the same.)
 */
let unflushed: Connection[] = [];

function flushAtEndOfTurn(connection: Connection): void {
  if (unflushed.push(connection) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const connections = unflushed;
  unflushed = [];
  for (let i = 0; i < connections.length; i++) connections[i]?.flush();
}

const CONNECTION = Symbol("connection");

/**
 * For `net.connect`: reads go to the connection that is made of the socket, at small cost. Connections to origins are few,
 * and the same ones carry large responses again and again.
 */
export const connectReadOptions: OnReadOpts = readOptions(onRead, true, lendsReads);

/** Clients are many, and mostly idle. */
const acceptReadOptions: OnReadOpts = readOptions(onRead, false, lendsReads);

/**
 * A connection that a server accepted; its socket belongs to it from here on.
 * @param accepted What is known of it: then the system is not asked for its addresses again.
 */
export function acceptedConnection(socket: Socket, listener: ConnectionListener, accepted?: SocketEnds): Connection {
  return new Connection(withReadOptions(socket, acceptReadOptions), listener, accepted);
}

/** The socket's listeners are shared by all sockets and find their connection here: no closures for each of them. */
interface Bound extends Socket {
  [CONNECTION]?: Connection;
}

function connectionOf(socket: Socket): Connection {
  return (socket as Bound)[CONNECTION] as Connection; // set by the constructor, before the listeners are added
}

function onData(this: Socket, chunk: Buffer): void {
  connectionOf(this).listener.onBytes(chunk);
}

/** What a socket reads whose reads do not pass through its stream. */
function onRead(this: Socket, chunk: Buffer): AfterRead {
  const connection = (this as Bound)[CONNECTION];
  // Before a connection is made of it, while it speaks to a proxy on the way for one, it is a stream as any other.
  if (connection === undefined) return this.push(chunk) ? "taken" : "stop";
  connection.listener.onBytes(chunk);
  return connection.lendsReads ? "lent" : "taken";
}

function lendsReads(socket: Socket): boolean {
  return (socket as Bound)[CONNECTION]?.lendsReads === true;
}

function onEnd(this: Socket): void {
  connectionOf(this).listener.onEnd();
}

function onDrain(this: Socket): void {
  connectionOf(this).listener.onDrain();
}

function onError(this: Socket, error: Error): void {
  connectionOf(this).error = error;
}

function onClose(this: Socket): void {
  const connection = connectionOf(this);
  connection.listener.onClose(connection.error);
}
