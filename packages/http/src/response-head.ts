import { isFieldValue } from "./characters.ts";
import { type HeaderInit, HeaderMap } from "./header-map.ts";
import type { HttpVersion } from "./request-head.ts";
import { reasonPhrase } from "./status.ts";

/** Status and fields of a response (RFC 9110, 15; RFC 9112, 4). */
export class ResponseHead {
  #status: number;
  #reason: string | undefined;
  version: HttpVersion;
  headers: HeaderMap;

  /** @throws TypeError for a status outside 100..999. */
  constructor(status: number, headers: HeaderInit | HeaderMap = [], version: HttpVersion = "1.1") {
    this.#status = checkedStatus(status);
    this.#reason = undefined;
    this.headers = headers instanceof HeaderMap ? headers : new HeaderMap(headers);
    this.version = version;
  }

  /** A head whose parts a parser has checked. */
  static adopt(status: number, reason: string, headers: HeaderMap, version: HttpVersion): ResponseHead {
    const head = new ResponseHead(status, headers, version);
    head.#reason = reason;
    return head;
  }

  get status(): number {
    return this.#status;
  }

  /** Changing the status takes the usual reason phrase of the new one. */
  set status(status: number) {
    if (status === this.#status) return;
    this.#status = checkedStatus(status);
    this.#reason = undefined;
  }

  /** The reason phrase (HDR-07): the sender's own, kept and sent on, or the usual one of the status. */
  get reason(): string {
    return this.#reason ?? reasonPhrase(this.#status);
  }

  /** @throws TypeError for control characters or characters above U+00FF. */
  set reason(reason: string) {
    if (!isFieldValue(reason)) throw new TypeError(`${JSON.stringify(reason)} is not a reason phrase (RFC 9112, 4)`);
    this.#reason = reason;
  }

  /** Whether this is an interim response, which another one follows (RFC 9110, 15.2). 101 is final. */
  get informational(): boolean {
    return this.#status < 200 && this.#status !== 101;
  }

  /** A copy that can be changed without changing this one. */
  clone(): ResponseHead {
    const copy = new ResponseHead(this.#status, this.headers.clone(), this.version);
    copy.#reason = this.#reason;
    return copy;
  }
}

function checkedStatus(status: number): number {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new TypeError(`${status} is not a status code: it has three digits (RFC 9110, 15)`);
  }
  return status;
}
