import type { Transform } from "node:stream";
import type { CirqueError } from "@cirque/core";
import type { MaybePromise } from "../../maybe-promise.ts";
import { StreamCoder } from "./stream-coder.ts";
import { TurnBudget } from "./turn-budget.ts";

/** What a {@link BodyCoder} does with bodies. */
export interface BodyCoding {
  /** Bodies up to this size are collected and coded at once; 0: none. */
  readonly inlineBytes: number;
  /** Codes a whole body on this thread. Undefined: it turned out to be too much for that. */
  codeNow(body: Buffer): Buffer | undefined;
  /** Codes piece by piece, in another thread. */
  createStream(): Transform;
  /** Comes before all output. */
  readonly prefix?: Buffer | undefined;
  /** Makes the error of what the coder of `node:zlib` threw. */
  failed(cause: unknown): CirqueError;
  /** Looks at the counts after each step; throws to give up. */
  check?(bytesIn: number, bytesOut: number): void;
}

/**
 * Encodes or decodes one body: whole and at once when it is small, else by a stream. Either way, at most `inlineBytes`
 * and what the stream holds back are in memory.
 *
 * One call of `push` for each piece, then `pull` as long as `more` says so: whoever cannot take the output just does not
 * ask for it.
 */
export class BodyCoder {
  readonly #coding: BodyCoding;
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  #prefix: Buffer | undefined;
  #stream: StreamCoder | undefined;
  #destroyed = false;
  bytesIn = 0;
  bytesOut = 0;
  /** Milliseconds spent, waiting for another thread included. */
  timeMs = 0;

  constructor(coding: BodyCoding) {
    this.#coding = coding;
    this.#prefix = coding.prefix;
  }

  /** Whether there may be more output of what was pushed: call `pull` before the next `push`. */
  get more(): boolean {
    return this.#stream?.more === true;
  }

  /** Takes the next piece of the body, and gives the first of its output. */
  push(data: Buffer | undefined, end: boolean): MaybePromise<Buffer | undefined> {
    this.bytesIn += data?.length ?? 0;
    if (this.#stream !== undefined) {
      this.#stream.push(data, end);
      return this.pull();
    }
    if (data !== undefined) {
      this.#collected.push(data);
      this.#collectedBytes += data.length;
    }
    if (this.#collectedBytes > this.#coding.inlineBytes) return this.#startStream(end);
    if (!end) return undefined;
    return turn.run(() => this.#codeNow());
  }

  /** The next output of what was pushed, in pieces of a bounded size; undefined when there is none left. */
  async pull(): Promise<Buffer | undefined> {
    const stream = this.#stream;
    if (stream === undefined || this.#destroyed) return undefined;
    const startedAt = performance.now();
    let output: Buffer | undefined;
    try {
      output = await stream.pull();
    } catch (cause) {
      throw this.#coding.failed(cause);
    }
    this.timeMs += performance.now() - startedAt;
    return output && this.#counted(output);
  }

  /** Gives its memory back. */
  destroy(): void {
    this.#destroyed = true;
    this.#collected = [];
    this.#stream?.destroy();
  }

  /** Codes all of the body; by a stream, if it turns out to be too much. */
  #codeNow(): MaybePromise<Buffer | undefined> {
    if (this.#destroyed) return undefined;
    const startedAt = performance.now();
    let output: Buffer | undefined;
    try {
      output = this.#coding.codeNow(this.#takeCollected());
    } catch (cause) {
      throw this.#coding.failed(cause);
    }
    this.timeMs += performance.now() - startedAt;
    return output === undefined ? this.#startStream(true) : this.#counted(output);
  }

  #startStream(end: boolean): MaybePromise<Buffer | undefined> {
    this.#stream = new StreamCoder(this.#coding.createStream());
    this.#stream.push(this.#takeCollected(), end);
    this.#collected = [];
    return this.pull();
  }

  #takeCollected(): Buffer {
    const [first] = this.#collected;
    if (first !== undefined && this.#collected.length === 1) return first;
    const whole = Buffer.concat(this.#collected);
    this.#collected = [whole];
    return whole;
  }

  #counted(output: Buffer): Buffer {
    const prefix = this.#prefix;
    this.#prefix = undefined;
    const all = prefix === undefined ? output : Buffer.concat([prefix, output]);
    this.bytesOut += all.length;
    this.#coding.check?.(this.bytesIn, this.bytesOut);
    return all;
  }
}

/** What all bodies of this thread together may take of a turn. */
const turn = new TurnBudget(4);
