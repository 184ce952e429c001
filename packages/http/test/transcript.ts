import {
  type HeaderMap,
  MalformedMessage,
  ParseEvent,
  type ParserLimits,
  type RefusalReason,
  type RequestHead,
  RequestParser,
  type ResponseHead,
  ResponseParser,
} from "@cirque/http";

/** What a parser made of some bytes, one step after another, in a form that can be compared. */
export type Step =
  | { readonly head: readonly string[]; readonly bodyLength: number; readonly fields: readonly FieldPair[] }
  | { readonly data: string }
  | { readonly end: readonly FieldPair[] }
  | { readonly refused: RefusalReason }
  | { readonly waitsIn: "message" | "between messages" };

export type FieldPair = readonly [name: string, value: string];

/** Which parser reads the bytes, and what it has to know. */
export interface Reading {
  readonly role: "requests" | "responses";
  /** The method that every response answers. Default GET. */
  readonly answers?: string;
  readonly limits?: Partial<ParserLimits>;
  /** Whether the sender closes after the bytes. Default true. */
  readonly closes?: boolean;
}

/** How the bytes reach the parser. */
export type Feeding = "drain after each piece" | "push all, then drain" | "retain and overwrite";

/** Feeds `pieces` to a new parser, message after message, up to the end or a refusal. Neighbouring data is joined. */
export function transcript(reading: Reading, pieces: readonly Buffer[], feeding: Feeding = FEEDINGS[0]): Step[] {
  const parser = reading.role === "requests" ? requestReader(reading) : responseReader(reading);
  const steps: Step[] = [];
  try {
    for (const piece of pieces) {
      const given = feeding === "retain and overwrite" ? Buffer.from(piece) : piece;
      parser.push(given);
      if (feeding !== "push all, then drain") drain(parser, steps, reading);
      if (feeding === "retain and overwrite") {
        parser.retain();
        given.fill(0x58);
      }
    }
    drain(parser, steps, reading);
    if (reading.closes ?? true) {
      if (parser.finish()) steps.push({ end: [] });
    } else {
      steps.push({ waitsIn: parser.head === undefined && !parser.started ? "between messages" : "message" });
    }
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    steps.push({ refused: error.reason });
  }
  return steps;
}

/** The first way to feed is the usual one. */
export const FEEDINGS: readonly [Feeding, Feeding, Feeding] = [
  "drain after each piece",
  "push all, then drain",
  "retain and overwrite",
];

/** Every way to cut `bytes` into pieces that the tests go through: whole, byte by byte, in two at each place. */
export function* splits(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes];
  yield Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

/** Why the bytes were refused, or undefined if they were not. The sender is taken to go on after them. */
export function refusal(reading: Reading, text: string): RefusalReason | undefined {
  const last = transcript({ ...reading, closes: false }, [bytesOf(text)]).at(-1);
  return last !== undefined && "refused" in last ? last.refused : undefined;
}

/** The bytes of a text, one for each character. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

type Parser = RequestParser | ResponseParser;

function requestReader(reading: Reading): Parser {
  return new RequestParser(reading.limits);
}

function responseReader(reading: Reading): Parser {
  const parser = new ResponseParser(reading.limits);
  parser.expect(reading.answers ?? "GET");
  return parser;
}

function drain(parser: Parser, steps: Step[], reading: Reading): void {
  // Each event takes a byte at least, or ends a message that did.
  for (let left = 2 * parser.bufferedBytes + 4; left > 0; left--) {
    switch (parser.next()) {
      case ParseEvent.NeedMore:
        return;
      case ParseEvent.Head:
        steps.push(headStep(parser));
        break;
      case ParseEvent.Data:
        addData(steps, parser.data.toString("latin1"));
        break;
      case ParseEvent.End:
        steps.push({ end: pairs(parser.trailers) });
        parser.startNext();
        if (parser instanceof ResponseParser) parser.expect(reading.answers ?? "GET");
        break;
    }
  }
  throw new Error("The parser gives events without end");
}

function addData(steps: Step[], data: string): void {
  const last = steps.at(-1);
  if (last !== undefined && "data" in last) steps[steps.length - 1] = { data: last.data + data };
  else steps.push({ data });
}

function headStep(parser: Parser): Step {
  const head = parser.head as RequestHead | ResponseHead;
  const line =
    "method" in head ? [head.method, head.target, head.version] : [head.version, `${head.status}`, head.reason];
  return { head: line, bodyLength: parser.bodyLength, fields: pairs(head.headers) };
}

function pairs(headers: HeaderMap | undefined): FieldPair[] {
  return headers === undefined ? [] : [...headers];
}
