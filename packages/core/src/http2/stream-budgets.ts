import { turnTime } from "../connection/turn-time.ts";
import type { ResolvedHttp2ServerOptions } from "./server-options.ts";

/** What a client may do that costs us and asks for nothing (promises P4, P5). One for each connection. */
export class StreamBudgets {
  readonly #options: ResolvedHttp2ServerOptions;
  #windowStartedAt: number = turnTime();
  #resets = 0;
  #answered = 0;
  #malformed = 0;
  #overheadStartedAt: number = turnTime();
  #bytesBefore = 0;
  #usefulBefore = 0;
  #piecesBefore = 0;

  constructor(options: ResolvedHttp2ServerOptions) {
    this.#options = options;
  }

  /** A request was answered. */
  answered(): void {
    this.#answered++;
  }

  /** A request was reset before it was answered. @returns whether that was one too many (CVE-2023-44487). */
  reset(): boolean {
    const now = turnTime();
    if (now - this.#windowStartedAt > this.#options.resetWindowMs) {
      this.#windowStartedAt = now;
      this.#resets = 0;
      this.#answered = 0;
    }
    this.#resets++;
    return this.#resets - this.#answered > this.#options.maxResets;
  }

  /** A request was malformed. @returns whether that was one too many (V9-02). */
  malformed(): boolean {
    this.#malformed++;
    return this.#malformed > this.#options.maxMalformedRequests;
  }

  /**
   * Compares what came with what it was good for. `node:http2` shows no WINDOW_UPDATE, PRIORITY or padding; but what a
   * connection received beyond requests and bodies is such frames.
   *
   * @param bytes All bytes received on the connection.
   * @param useful Those of requests and bodies.
   * @param pieces How often something was sent: a client answers that with WINDOW_UPDATE.
   * @returns whether that was too much.
   */
  overhead(bytes: number, useful: number, pieces: number): boolean {
    const usefulHere = useful - this.#usefulBefore;
    const beyond = bytes - this.#bytesBefore - usefulHere;
    const allowed =
      this.#options.maxControlBytes +
      usefulHere * OVERHEAD_PER_USEFUL_BYTE +
      (pieces - this.#piecesBefore) * OVERHEAD_PER_PIECE;
    if (beyond > allowed) return true;
    const now = turnTime();
    if (now - this.#overheadStartedAt > OVERHEAD_WINDOW_MS) {
      this.#overheadStartedAt = now;
      this.#bytesBefore = bytes;
      this.#usefulBefore = useful;
      this.#piecesBefore = pieces;
    }
    return false;
  }
}

const OVERHEAD_WINDOW_MS = 10_000;

/** A DATA frame of one byte has nine of overhead. */
const OVERHEAD_PER_USEFUL_BYTE = 10;

/** Ten WINDOW_UPDATE frames; a piece of 64 KiB leaves as four DATA frames, each of which is answered with two at most. */
const OVERHEAD_PER_PIECE = 130;
