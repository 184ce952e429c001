import type { HeaderMap } from "../header-map.ts";
import { ResponseHead } from "../response-head.ts";
import { responseBodyLength } from "./framing.ts";
import type { ParserLimits } from "./limits.ts";
import { MessageParser } from "./message-parser.ts";
import { readStatusLine, type StatusLine } from "./start-line.ts";

/** Parses what origins send: responses, each to the request announced with `expect`. */
export class ResponseParser extends MessageParser<ResponseHead> {
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
    this.bodyLength = responseBodyLength(head, this.#method);
    return head;
  }

  protected override skipBefore(): number {
    return 0;
  }
}
