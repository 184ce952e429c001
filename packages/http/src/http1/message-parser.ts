import { CR, LF } from "../characters.ts";
import { HeaderMap } from "../header-map.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import { type BodyLength, CHUNKED, UNTIL_CLOSE } from "./framing.ts";
import { completeLimits, type ParserLimits } from "./limits.ts";
import { MalformedMessage } from "./malformed-message.ts";
import { type SectionLimits, SectionParser, type StartLineReader } from "./section-parser.ts";
import { isTrailerField } from "./trailers.ts";

/** What `MessageParser.next` found. */
export const ParseEvent = {
  /** Nothing more can be said before more bytes are pushed. */
  NeedMore: 0,
  /** A head: in `head`, with the length of the body in `bodyLength`. */
  Head: 1,
  /** Body bytes: in `data`. */
  Data: 2,
  /** The message is complete; `trailers` holds what followed a chunked body. Call `startNext` before another message. */
  End: 3,
} as const;

/** One of the values of `ParseEvent`. */
export type ParseEvent = (typeof ParseEvent)[keyof typeof ParseEvent];

const IN_HEAD = 0;
const IN_SIZED_BODY = 1;
const IN_CHUNKED_BODY = 2;
const IN_TRAILERS = 3;
const IN_BODY_UNTIL_CLOSE = 4;
const AT_END = 5;
const ENDED = 6;

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * A sans-IO parser of HTTP/1.1 messages (RFC 9112): bytes in with `push`, events out with `next`, whenever the caller
 * wants them. It never waits and never writes. What it makes of a message does not depend on how the bytes were split,
 * but that `Data` may come in other pieces.
 *
 * After it has thrown, the connection's framing is lost: close it. The parser answers every further call with the same
 * error, so that bytes behind a refused message are never taken for another one.
 */
export abstract class MessageParser<Head> {
  protected readonly limits: ParserLimits;
  readonly #section: SectionParser;
  #trailerSection: SectionParser | undefined;
  #chunks: ChunkedDecoder | undefined;
  #state = IN_HEAD;
  #bytes = NO_BYTES;
  #start = 0;
  #end = 0;
  /** Up to here the bytes of an unfinished line are known to have no LF. */
  #scanned = 0;
  #remaining = 0;
  #owned = false;
  /** The sender will send no more. */
  #closed = false;
  /** Nothing can be made of the bytes at hand without more of them. */
  #starved = false;
  #failure: unknown;

  /** The head of the last `Head` event. */
  head: Head | undefined;
  /** The body length of the last `Head` event. */
  bodyLength: BodyLength = 0;
  /** The bytes of the last `Data` event: part of what was pushed, not a copy, and never written to by the parser. */
  data: Buffer = NO_BYTES;
  /** The trailer fields of the last `End` event, if there were any. */
  trailers: HeaderMap | undefined;

  /** @throws RangeError for a limit that is not a whole number, or below 1. */
  constructor(limits: Partial<ParserLimits>, startLine: "target" | "status") {
    this.limits = completeLimits(limits);
    const { headBytes, fieldBytes, fields, targetBytes } = this.limits;
    const sectionLimits: SectionLimits = {
      sectionBytes: headBytes,
      sectionRefusal: "head-too-large",
      fieldBytes,
      fields,
      // Room for the method, the version and three spaces.
      startLineBytes: targetBytes + 64,
      startLineRefusal: startLine === "target" ? "target-too-long" : "head-too-large",
    };
    const readStartLine: StartLineReader = (bytes, start, end) => this.readStartLine(bytes, start, end);
    this.#section = new SectionParser(sectionLimits, readStartLine);
  }

  protected abstract readStartLine(bytes: Buffer, start: number, end: number): void;
  /** Makes the head, checks it, and sets `bodyLength`. */
  protected abstract finishHead(headers: HeaderMap): Head;
  /** How many bytes to skip before a start line; -1: not known yet. */
  protected abstract skipBefore(bytes: Buffer, start: number, end: number): number;

  /** Adds bytes. They may be kept until they are consumed: do not write to the buffer again, or call `retain`. */
  push(chunk: Buffer): void {
    this.#starved = false;
    if (this.#start === this.#end) {
      this.#bytes = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#scanned = 0;
      this.#owned = false;
      return;
    }
    const length = this.#end - this.#start;
    if (!this.#owned || this.#bytes.length - this.#end < chunk.length) this.#grow(length + chunk.length);
    // Behind what is there, so that data which was handed out stays as it is.
    chunk.copy(this.#bytes, this.#end);
    this.#end += chunk.length;
  }

  /** Makes the parser independent of the buffers pushed so far. */
  retain(): void {
    if (!this.#owned && this.#start !== this.#end) this.#grow(this.#end - this.#start);
  }

  /**
   * Finds the next event.
   * @throws MalformedMessage
   */
  next(): ParseEvent {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const event = this.#advance();
      if (event !== ParseEvent.NeedMore) return event;
      this.#starved = true;
      return this.#closed && this.#endAtClose() ? ParseEvent.End : event;
    } catch (error) {
      this.#failure = error;
      this.#bytes = NO_BYTES;
      this.#start = this.#end = 0;
      throw error;
    }
  }

  #advance(): ParseEvent {
    switch (this.#state) {
      case IN_HEAD:
        return this.#nextHead();
      case IN_SIZED_BODY: {
        if (this.#start === this.#end) return ParseEvent.NeedMore;
        const length = Math.min(this.#remaining, this.#end - this.#start);
        this.#remaining -= length;
        if (this.#remaining === 0) this.#state = AT_END;
        return this.#foundData(this.#start, this.#start + length);
      }
      case IN_CHUNKED_BODY:
        return this.#nextChunk();
      case IN_TRAILERS:
        return this.#nextTrailers();
      case IN_BODY_UNTIL_CLOSE:
        if (this.#start === this.#end) return ParseEvent.NeedMore;
        return this.#foundData(this.#start, this.#end);
      case AT_END:
        this.#state = ENDED;
        return ParseEvent.End;
      default:
        return ParseEvent.NeedMore;
    }
  }

  /**
   * The sender closed its side. That ends a body that lasts until then, and cuts any other message.
   *
   * While `next` has not yet asked for more, nothing can be said: the answer is false, and `next` goes on with what is
   * at hand, up to `End` or to the refusal of a message that was cut.
   * @returns whether that ended the message, at once, without an `End` event.
   * @throws MalformedMessage when the message was cut.
   */
  finish(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    this.#closed = true;
    if (this.#state === AT_END || (this.#start !== this.#end && !this.#starved)) return false;
    return this.#endAtClose();
  }

  /**
   * Goes on to the next message on the connection. Bytes already pushed stay.
   * @throws Error when the current message is not complete: the rest of it would be taken for a message.
   */
  startNext(): void {
    if (this.#state < AT_END && (this.#state !== IN_HEAD || this.started)) {
      throw new Error("The message is not complete: read it to its end, or close the connection");
    }
    this.#state = IN_HEAD;
    this.#starved = false;
    this.#scanned = this.#start;
    this.head = undefined;
    this.trailers = undefined;
  }

  /** Whether a head is under way: some of it has come, but not all. */
  get started(): boolean {
    return this.#section.started || (this.#state === IN_HEAD && this.#start !== this.#end);
  }

  /** Whether the current message is complete. */
  get ended(): boolean {
    return this.#state === ENDED;
  }

  /** Whether the head was the whole message, or all of the body is here: `next` will find no `Data` from here on. */
  get atEnd(): boolean {
    return this.#state >= AT_END;
  }

  /** How many bytes were pushed that no event has covered. */
  get bufferedBytes(): number {
    return this.#end - this.#start;
  }

  /** Takes the bytes that no event has covered: after an upgrade they belong to another protocol. */
  takeRemainder(): Buffer {
    const remainder = this.#bytes.subarray(this.#start, this.#end);
    this.#start = this.#end = 0;
    this.#bytes = NO_BYTES;
    return remainder;
  }

  /** What it means that no more bytes will come: whether it ends a message. */
  #endAtClose(): boolean {
    if (this.#state === IN_BODY_UNTIL_CLOSE) {
      this.#state = ENDED;
      return true;
    }
    if (this.#state === ENDED || (this.#state === IN_HEAD && !this.started)) return false;
    throw new MalformedMessage("premature-end", "the sender closed in the middle of a message");
  }

  #nextHead(): ParseEvent {
    if (this.#start === this.#end) return ParseEvent.NeedMore;
    const section = this.#section;
    if (!section.started) {
      let skipped = this.skipBefore(this.#bytes, this.#start, this.#end);
      while (skipped > 0) {
        this.#start += skipped;
        skipped = this.skipBefore(this.#bytes, this.#start, this.#end);
      }
      if (skipped === -1) return ParseEvent.NeedMore;
    }
    const complete = section.read(this.#bytes, this.#start, this.#end, this.#scanned);
    this.#consumeTo(section.position);
    if (!complete) {
      this.#scanned = this.#end;
      return ParseEvent.NeedMore;
    }
    this.head = this.finishHead(HeaderMap.adopt(section.takeFields()));
    this.#enterBody();
    return ParseEvent.Head;
  }

  #enterBody(): void {
    const length = this.bodyLength;
    if (length === 0) this.#state = AT_END;
    else if (length === CHUNKED) {
      this.#state = IN_CHUNKED_BODY;
      this.#chunks ??= new ChunkedDecoder(this.limits);
      this.#chunks.reset();
    } else if (length === UNTIL_CLOSE) this.#state = IN_BODY_UNTIL_CLOSE;
    else {
      this.#state = IN_SIZED_BODY;
      this.#remaining = length;
    }
  }

  #nextChunk(): ParseEvent {
    const chunks = this.#chunks as ChunkedDecoder; // made by #enterBody, the only way into this state
    const last = chunks.read(this.#bytes, this.#start, this.#end);
    if (chunks.dataEnd > chunks.dataStart) {
      this.#start = chunks.position;
      return this.#foundData(chunks.dataStart, chunks.dataEnd);
    }
    this.#consumeTo(chunks.position);
    if (!last) return ParseEvent.NeedMore;
    this.#state = IN_TRAILERS;
    this.#scanned = this.#start;
    return this.#nextTrailers();
  }

  #nextTrailers(): ParseEvent {
    if (this.#start === this.#end) return ParseEvent.NeedMore;
    // Nearly always there are none.
    if (this.#trailerSection?.started !== true && this.#end - this.#start >= 2) {
      if (this.#bytes[this.#start] === CR && this.#bytes[this.#start + 1] === LF) {
        this.#consumeTo(this.#start + 2);
        this.#state = ENDED;
        return ParseEvent.End;
      }
    }
    this.#trailerSection ??= new SectionParser(trailerLimits(this.limits));
    const section = this.#trailerSection;
    const complete = section.read(this.#bytes, this.#start, this.#end, this.#scanned);
    this.#consumeTo(section.position);
    if (!complete) {
      this.#scanned = this.#end;
      return ParseEvent.NeedMore;
    }
    const fields = section.takeFields().filter(isTrailerField);
    if (fields.length > 0) this.trailers = HeaderMap.adopt(fields);
    this.#state = ENDED;
    return ParseEvent.End;
  }

  #foundData(start: number, end: number): ParseEvent {
    this.data = start === 0 && end === this.#bytes.length ? this.#bytes : this.#bytes.subarray(start, end);
    this.#start = end;
    return ParseEvent.Data;
  }

  #consumeTo(position: number): void {
    if (this.#scanned < position) this.#scanned = position;
    this.#start = position;
  }

  /** Moves what is left into a buffer of our own with room for `needed` bytes at least. */
  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed * 2, 256));
    this.#bytes.copy(grown, 0, this.#start, this.#end);
    this.#scanned = Math.max(0, this.#scanned - this.#start);
    this.#end -= this.#start;
    this.#start = 0;
    this.#bytes = grown;
    this.#owned = true;
  }
}

function trailerLimits(limits: ParserLimits): SectionLimits {
  return {
    sectionBytes: limits.trailerBytes,
    sectionRefusal: "trailers-too-large",
    fieldBytes: limits.trailerBytes,
    fields: limits.fields,
    startLineBytes: 0,
    startLineRefusal: "trailers-too-large",
  };
}
