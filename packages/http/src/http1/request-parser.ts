import { CR, LF } from "../characters.ts";
import type { HeaderMap } from "../header-map.ts";
import { RequestHead } from "../request-head.ts";
import { checkAuthority } from "./authority.ts";
import { requestBodyLength } from "./framing.ts";
import type { ParserLimits } from "./limits.ts";
import { MalformedMessage } from "./malformed-message.ts";
import { MessageParser } from "./message-parser.ts";
import { type RequestLine, readRequestLine } from "./start-line.ts";

/** Parses what clients send (RFC 9112, 2-7): requests, one after another. */
export class RequestParser extends MessageParser<RequestHead> {
  readonly #line: RequestLine = { method: "", target: "", version: "1.1" };
  #blankLines = 0;

  constructor(limits: Partial<ParserLimits> = {}) {
    super(limits, "target");
  }

  protected override readStartLine(bytes: Buffer, start: number, end: number): void {
    this.#blankLines = 0;
    readRequestLine(bytes, start, end, this.limits.targetBytes, this.#line);
  }

  protected override finishHead(headers: HeaderMap): RequestHead {
    const { method, target, version } = this.#line;
    checkAuthority(method, target, version, headers.fields());
    const head = RequestHead.adopt(method, target, headers, version);
    this.bodyLength = requestBodyLength(head);
    return head;
  }

  /** One empty line before a request is ignored (RFC 9112, 2.2); more would be an idle connection kept busy for free. */
  protected override skipBefore(bytes: Buffer, start: number, end: number): number {
    if (start === end || bytes[start] !== CR) return 0;
    if (end - start < 2) return -1;
    if (bytes[start + 1] !== LF) return 0;
    if (this.#blankLines > 0) throw new MalformedMessage("blank-lines", "more than one before a request");
    this.#blankLines++;
    return 2;
  }
}
