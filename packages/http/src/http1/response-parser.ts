import type { HeaderMap } from "../header-map.ts";
import { ResponseHead } from "../response-head.ts";
import { responseBodyLength } from "./framing.ts";
import type { ParserLimits } from "./limits.ts";
import { MalformedMessage } from "./malformed-message.ts";
import { MessageParser } from "./message-parser.ts";
import { readStatusLine, type StatusLine } from "./start-line.ts";

/** Parses what origins send: responses, each to the request announced with `expect`. */
export class ResponseParser extends MessageParser<ResponseHead> {
  /**
   * Whether a single Content-Length that is no number is left out of the head, as if the origin had not sent it; the body
   * then lasts until the origin closes. Default false: such a response is refused. Several of them, in a list or not, are
   * refused always.
   */
  ignoreInvalidContentLength = false;
  readonly #line: StatusLine = { status: 0, reason: "", version: "1.1" };
  #method = "GET";

  constructor(limits: Partial<ParserLimits> = {}) {
    super(limits, "status");
  }

  /** Says what method the next response answers: responses to HEAD and CONNECT have no body. */
  expect(method: string): void {
    this.#method = method;
  }

  protected override readStartLine(bytes: Buffer, start: number, end: number): void {
    readStatusLine(bytes, start, end, this.#line);
  }

  protected override finishHead(headers: HeaderMap): ResponseHead {
    const { status, reason, version } = this.#line;
    const head = ResponseHead.adopt(status, reason, headers, version);
    try {
      this.bodyLength = responseBodyLength(head, this.#method);
    } catch (error) {
      if (!this.ignoreInvalidContentLength || !isInvalidContentLength(error, headers)) throw error;
      headers.delete("content-length");
      this.bodyLength = responseBodyLength(head, this.#method);
    }
    return head;
  }

  protected override skipBefore(): number {
    return 0;
  }
}

function isInvalidContentLength(error: unknown, headers: HeaderMap): boolean {
  const invalid = error instanceof MalformedMessage && error.reason === "invalid-content-length";
  return invalid && !headers.get("content-length")?.includes(",");
}
