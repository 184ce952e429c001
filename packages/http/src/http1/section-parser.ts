import { BYTE_CLASS, COLON, CR, decodeLatin1, FIELD_VALUE, HTAB, LF, SP, TOKEN } from "../characters.ts";
import { Field } from "../field.ts";
import { findLineFeed } from "./find-line-feed.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { MalformedMessage, type RefusalReason } from "./malformed-message.ts";

/** What bounds a section: a head or a trailer section. */
export interface SectionLimits {
  /** The whole section, and the refusal beyond it. */
  readonly sectionBytes: number;
  readonly sectionRefusal: RefusalReason;
  readonly fieldBytes: number;
  readonly fields: number;
  /** The first line (request line or status line), and the refusal beyond it. */
  readonly startLineBytes: number;
  readonly startLineRefusal: RefusalReason;
}

/** Reads a first line that is known to be complete: bytes from `start` to the CRLF at `end`. */
export type StartLineReader = (bytes: Buffer, start: number, end: number) => void;

/**
 * Reads a start line (of a head) and field lines up to the empty line (RFC 9112, 2.1 and 5), from as many pieces as
 * it takes.
 *
 * Nothing is decided before a line is complete, and a line is judged by its own bytes alone. So the result is the same
 * however the bytes were split, and no byte is looked at twice but those of the unfinished line's last piece.
 */
export class SectionParser {
  readonly #limits: SectionLimits;
  readonly #readStartLine: StartLineReader | undefined;
  #fields: Field[] = [];
  /** Bytes of the lines read so far. */
  #consumed = 0;
  #startLineDone: boolean;

  /** @param readStartLine Without it, the section has field lines only. */
  constructor(limits: SectionLimits, readStartLine?: StartLineReader) {
    this.#limits = limits;
    this.#readStartLine = readStartLine;
    this.#startLineDone = readStartLine === undefined;
  }

  /** Whether part of a section has been read. */
  get started(): boolean {
    return this.#consumed > 0;
  }

  /** The fields of the section that was read, handed over; the parser is ready for another section. */
  takeFields(): Field[] {
    const fields = this.#fields;
    this.#fields = [];
    this.#consumed = 0;
    this.#startLineDone = this.#readStartLine === undefined;
    return fields;
  }

  /** Where the last call to `read` stopped: behind the last complete line. */
  position = 0;

  /**
   * Reads complete lines of `bytes` between `start` and `end`. `position` tells how far it came.
   * @param scanned Up to here the bytes are known to have no LF: what is left of an earlier piece.
   * @returns whether the section is complete.
   * @throws MalformedMessage
   */
  read(bytes: Buffer, start: number, end: number, scanned: number): boolean {
    this.position = start;
    // An unfinished line is not tried again before its LF is there, else a slow sender would cost us the square.
    if (scanned > start && findLineFeed(bytes, scanned, end) === -1) {
      this.#checkUnfinished(end - start);
      return false;
    }
    if (!this.#startLineDone && !this.#startLine(bytes, end)) return false;
    return this.#fieldLines(bytes, end);
  }

  #startLine(bytes: Buffer, end: number): boolean {
    const start = this.position;
    let lf = start;
    while (lf < end && bytes[lf] !== LF) lf++;
    if (lf === end) {
      this.#checkUnfinished(end - start);
      return false;
    }
    const length = lf + 1 - start;
    const { startLineBytes, startLineRefusal } = this.#limits;
    if (length > startLineBytes) throw new MalformedMessage(startLineRefusal, `more than ${startLineBytes} bytes`);
    if (bytes[lf - 1] !== CR || lf === start) throw new MalformedMessage("bare-lf", "in the first line");
    this.#readStartLine?.(bytes, start, lf - 1);
    this.#startLineDone = true;
    this.#consumed += length;
    this.position = lf + 1;
    return true;
  }

  /** The inner loop: one pass over the bytes, each tested by one table look-up, positions noted, no string made. */
  #fieldLines(bytes: Buffer, end: number): boolean {
    const sectionStart = this.position;
    const capacity = this.#limits.fields - this.#fields.length;
    let count = 0;
    let at = sectionStart;
    let complete = false;
    for (;;) {
      const lineStart = at;
      if (at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) {
        at += 2;
        this.#checkLine(at - sectionStart, 2);
        complete = true;
        break;
      }
      while (at < end && ((BYTE_CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at++;
      const nameEnd = at;
      if (at >= end || bytes[at] !== COLON || nameEnd === lineStart) {
        at = this.#refuseLine(bytes, lineStart, end, sectionStart, count < capacity);
        break;
      }
      at++;
      while (at < end && (bytes[at] === SP || bytes[at] === HTAB)) at++;
      const valueStart = at;
      while (at < end && ((BYTE_CLASS[bytes[at] as number] as number) & FIELD_VALUE) !== 0) at++;
      if (at + 1 >= end || bytes[at] !== CR || bytes[at + 1] !== LF) {
        at = this.#refuseLine(bytes, lineStart, end, sectionStart, count < capacity);
        break;
      }
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB)) valueEnd--;
      at += 2;
      this.#checkLine(at - sectionStart, at - lineStart);
      if (count >= capacity) throw new MalformedMessage("too-many-fields", `more than ${this.#limits.fields}`);
      const slot = count * 5;
      if (slot === bounds.length) bounds = enlarged(bounds);
      bounds[slot] = lineStart;
      bounds[slot + 1] = nameEnd;
      bounds[slot + 2] = valueStart;
      bounds[slot + 3] = valueEnd;
      bounds[slot + 4] = at;
      count++;
    }
    if (count > 0) this.#keep(decodeLatin1(bytes, sectionStart, bounds[count * 5 - 1] as number), sectionStart, count);
    this.#consumed += at - sectionStart;
    this.position = at;
    return complete;
  }

  #keep(text: string, offset: number, count: number): void {
    const fields = this.#fields;
    for (let slot = 0; slot < count * 5; slot += 5) {
      fields.push(
        new Field(
          text,
          (bounds[slot] as number) - offset,
          (bounds[slot + 1] as number) - offset,
          (bounds[slot + 2] as number) - offset,
          (bounds[slot + 3] as number) - offset,
          (bounds[slot + 4] as number) - offset,
        ),
      );
    }
  }

  /** Limits on a complete line, of which `sectionBytes` with it have been read in this piece. */
  #checkLine(pieceBytes: number, lineBytes: number): void {
    const { fieldBytes, sectionBytes, sectionRefusal } = this.#limits;
    const room = sectionBytes - (this.#consumed + pieceBytes - lineBytes);
    if (lineBytes <= fieldBytes && lineBytes <= room) return;
    if (fieldBytes < room) throw new MalformedMessage("field-too-large", `more than ${fieldBytes} bytes`);
    throw new MalformedMessage(sectionRefusal, `more than ${sectionBytes} bytes`);
  }

  /** Limits on a line whose end has not come. */
  #checkUnfinished(bytes: number): void {
    if (this.#startLineDone) {
      this.#checkLine(bytes, bytes);
      return;
    }
    const { startLineBytes, startLineRefusal } = this.#limits;
    if (bytes > startLineBytes) throw new MalformedMessage(startLineRefusal, `more than ${startLineBytes} bytes`);
  }

  /** Throws what is wrong with the line, or, when it is merely unfinished, answers where it starts. */
  #refuseLine(bytes: Buffer, start: number, end: number, sectionStart: number, room: boolean): number {
    const found = findLineFeed(bytes, start, end);
    if (found === -1) {
      this.#checkLine(end - sectionStart, end - start);
      return start;
    }
    this.#checkLine(found + 1 - sectionStart, found + 1 - start);
    if (!room) throw new MalformedMessage("too-many-fields", `more than ${this.#limits.fields}`);
    throw whatIsWrong(bytes, start, found);
  }
}

/**
 * Positions in the lines of the piece being read: name, end of name, value, end of value, next line. Reading is
 * synchronous, so one array serves every parser.
 */
let bounds = new Int32Array(DEFAULT_LIMITS.fields * 5);

function enlarged(smaller: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(smaller.length * 2);
  larger.set(smaller);
  return larger;
}

function whatIsWrong(bytes: Buffer, start: number, lf: number): MalformedMessage {
  if (lf === start || bytes[lf - 1] !== CR) return new MalformedMessage("bare-lf", "in a field line");
  const lineEnd = lf - 1;
  const first = bytes[start];
  if (first === SP || first === HTAB)
    return new MalformedMessage("obsolete-line-folding", "a field line starts with white space");
  if (bytes.subarray(start, lineEnd).includes(CR)) return new MalformedMessage("bare-cr", "in a field line");
  let at = start;
  while (at < lineEnd && ((BYTE_CLASS[bytes[at] as number] as number) & TOKEN) !== 0) at++;
  if (bytes[at] === COLON && at > start)
    return new MalformedMessage("invalid-field-value", "it has a control character");
  const colon = bytes.subarray(start, lineEnd).includes(COLON);
  if (!colon) return new MalformedMessage("missing-colon", "a field line has no colon");
  return new MalformedMessage("invalid-field-name", "a field name has a byte that is not of a token, or is empty");
}
