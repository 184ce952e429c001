import { type HeaderMap, MalformedMessage, ParseEvent, RequestParser, ResponseParser } from "@cirque/http";
import type { Message, Reading } from "./reading.ts";

/** Reads requests as a server of ours would, up to a CONNECT, behind which the connection is no longer HTTP. */
export function readRequests(pieces: readonly Buffer[]): Reading {
  const parser = new RequestParser(LIMITS);
  return read(parser, pieces, {
    start: () => `${parser.head?.method} ${parser.head?.target} HTTP/${parser.head?.version}`,
    goesOn: () => parser.head?.method !== "CONNECT",
    kept: () => true,
  });
}

/** Reads the final response to a request of `method`. */
export function readResponse(method: string, pieces: readonly Buffer[]): Reading {
  const parser = new ResponseParser(LIMITS);
  parser.expect(method);
  return read(parser, pieces, {
    start: () => `HTTP/${parser.head?.version} ${parser.head?.status} ${parser.head?.reason}`,
    goesOn: () => parser.head?.informational === true,
    kept: () => parser.head?.informational === false,
  });
}

interface Role {
  readonly start: () => string;
  /** Whether another message follows on the connection. */
  readonly goesOn: () => boolean;
  /** Whether the message is one that is compared. */
  readonly kept: () => boolean;
}

/** Limits are not what is compared. */
const LIMITS = { targetBytes: 1 << 20, headBytes: 1 << 21, fieldBytes: 1 << 20, fields: 10_000 };

function read(parser: RequestParser | ResponseParser, pieces: readonly Buffer[], role: Role): Reading {
  const reading: Reading = { messages: [], refusal: undefined };
  let message: Message | undefined;
  const drain = (): boolean => {
    for (;;) {
      const event = parser.next();
      if (event === ParseEvent.NeedMore) return true;
      if (event === ParseEvent.Head) {
        message = { start: role.start(), fields: flat(parser.head?.headers), body: "", trailers: [], complete: false };
        if (role.kept()) reading.messages.push(message);
      } else if (message !== undefined && event === ParseEvent.Data) {
        message.body += parser.data.toString("latin1");
      } else if (message !== undefined) {
        message.complete = true;
        message.trailers = flat(parser.trailers);
        if (!role.goesOn()) return false;
        parser.startNext();
      }
    }
  };
  try {
    for (const piece of pieces) {
      parser.push(piece);
      if (!drain()) return reading;
    }
    if (parser.finish() && message !== undefined) message.complete = true;
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    reading.refusal = error.reason;
  }
  return reading;
}

function flat(headers: HeaderMap | undefined): string[] {
  return headers === undefined ? [] : [...headers].flat();
}
