import { CirqueError, type Connection, type ConnectionListener, Deadline } from "@cirque/core";

/** What a relay tells of the bytes it has carried, piece by piece. */
export interface RelayObserver {
  /** Bytes of the client are on their way to the peer. */
  onUpload(bytes: number): void;
  /** Bytes of the peer are on their way to the client. */
  onDownload(bytes: number): void;
}

/**
 * Carries bytes between two connections, both ways, until both sides have ended or one has failed.
 *
 * A side that ends is a half-closed connection to the other. A side that takes nothing stops the reading of the other, so
 * that in each direction no more than a fixed number of bytes is held. A side that is reset resets the other.
 */
export class Relay {
  readonly #downstream: Connection;
  readonly #upstream: Connection;
  readonly #idleTimeoutMs: number;
  readonly #idle: Deadline;
  readonly #over = Promise.withResolvers<void>();
  #open = 2;
  #ended = 0;
  #unsent = 0;
  #error: CirqueError | undefined;

  /** Nothing is carried before `run`. */
  constructor(downstream: Connection, upstream: Connection, idleTimeoutMs: number) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#idle = new Deadline(() => this.#expire());
  }

  /**
   * Resolves when both connections are closed, after both sides have ended.
   *
   * @param firstBytes What was read from the client before.
   * @throws CirqueError that says which side failed, or `ReadTimedout` when nothing was carried for too long.
   */
  run(observer: RelayObserver, firstBytes: readonly Buffer[]): Promise<void> {
    if (this.#downstream.closed) return Promise.reject(gone("client", this.#downstream.error));
    if (this.#upstream.closed) return Promise.reject(gone("upstream", this.#upstream.error));
    const client = new Side(this, "client", this.#downstream, this.#upstream, (bytes) => observer.onUpload(bytes));
    const peer = new Side(this, "upstream", this.#upstream, this.#downstream, (bytes) => observer.onDownload(bytes));
    this.#downstream.listener = client;
    this.#upstream.listener = peer;
    this.#upstream.lendsReads = true;
    this.#downstream.lendsReads = true;
    this.#upstream.resume();
    this.#downstream.resume();
    for (const chunk of firstBytes) client.onBytes(chunk);
    // A side may have ended while nobody listened, right behind what was read before.
    if (this.#downstream.socket.readableEnded) client.onEnd();
    if (this.#upstream.socket.readableEnded) peer.onEnd();
    this.touch();
    return this.#over.promise;
  }

  /** Something moved. */
  touch(): void {
    this.#idle.set(this.#idleTimeoutMs);
  }

  /** One side has ended. */
  onEnd(): void {
    this.#ended += 1;
    this.touch();
  }

  /** One side is gone. */
  onClose(side: RelaySide, error: Error | undefined): void {
    this.#open -= 1;
    if (this.#ended < 2 || error !== undefined) this.#fail(gone(side, error));
    if (this.#open > 0) return;
    this.#idle.dispose();
    if (this.#error === undefined) this.#over.resolve();
    else this.#over.reject(this.#error);
  }

  #fail(error: CirqueError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#downstream.reset();
    this.#upstream.reset();
  }

  /** A peer that takes a little of a large piece is slow, not idle. */
  #expire(): void {
    const unsent = this.#downstream.unsentBytes + this.#upstream.unsentBytes;
    if (unsent > 0 && unsent !== this.#unsent) {
      this.#unsent = unsent;
      this.touch();
      return;
    }
    const error = new CirqueError("ReadTimedout", `nothing was carried for ${this.#idleTimeoutMs} ms`, {
      context: { reason: "idle" },
    });
    if (unsent > 0 || this.#ended > 0) {
      this.#fail(error);
      return;
    }
    // Both sides have all that was sent: there is nothing to warn them of by a reset.
    this.#error = error;
    this.#downstream.destroy();
    this.#upstream.destroy();
  }
}

type RelaySide = "client" | "upstream";

/** What comes from one side goes to the other. */
class Side implements ConnectionListener {
  readonly #relay: Relay;
  readonly #name: RelaySide;
  readonly #source: Connection;
  readonly #sink: Connection;
  readonly #count: (bytes: number) => void;

  constructor(relay: Relay, name: RelaySide, source: Connection, sink: Connection, count: (bytes: number) => void) {
    this.#relay = relay;
    this.#name = name;
    this.#source = source;
    this.#sink = sink;
    this.#count = count;
  }

  onBytes(chunk: Buffer): void {
    this.#count(chunk.length);
    this.#relay.touch();
    if (!this.#sink.writeLent(chunk)) this.#source.pause();
  }

  onEnd(): void {
    this.#relay.onEnd();
    this.#sink.end();
  }

  /** This side has taken what was written to it: the other may go on. */
  onDrain(): void {
    this.#relay.touch();
    this.#sink.resume();
  }

  onClose(error: Error | undefined): void {
    this.#relay.onClose(this.#name, error);
  }
}

function gone(side: RelaySide, cause: Error | undefined): CirqueError {
  const what = side === "client" ? "the client" : "the peer";
  const message = cause === undefined ? `${what} closed the connection early` : `the connection to ${what} broke`;
  const options = { context: { reason: `${side}-gone` }, ...(cause !== undefined && { cause }) };
  return side === "client"
    ? CirqueError.downstream("ConnectionClosed", message, options)
    : CirqueError.upstream("ConnectionClosed", message, options);
}
