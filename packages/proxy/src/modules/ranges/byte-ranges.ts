import { randomBytes } from "node:crypto";
import { type ByteRange, type HeaderMap, ifRangeHolds, parseByteRanges, type ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";
import type { Session } from "../../session.ts";
import { droppingBody } from "../conditional-requests.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { type CutPart, RangeCutter } from "./range-cutter.ts";

/** What of a representation is sent: parts of it, in order and apart; 416; or all. */
export type RangeSelection = readonly ByteRange[] | "unsatisfiable" | "ignored";

/** Settings of {@link byteRanges}. */
export interface ByteRangesOptions extends ModuleOptions {
  /** How many parts a request may ask for; one that asks for more gets the whole (RNG-08). Default 100. */
  readonly maxParts?: number;
  /**
   * Chooses the parts, instead of `parseByteRanges` (RNG-12).
   * @param size Bytes of the whole representation.
   */
  readonly select?: (session: Session, response: ResponseHead, range: string, size: number) => RangeSelection;
}

/**
 * Serves ranges for origins that do not (RFC 9110, 14; RNG-04..RNG-13): cuts the parts that a GET asks for out of a 200 with
 * a declared length, while it flows by. Several parts become `multipart/byteranges`. `If-Range` is heeded.
 *
 * A response that another module is to compress has to pass this one before, as it does by their orders.
 *
 * @example
 * const modules = [conditionalRequests(), byteRanges()];
 */
export function byteRanges(options: ByteRangesOptions = {}): HttpModuleFactory<RangeRequest> {
  const { name = "byte ranges", order = -200, maxParts = 100 } = options;
  const { select = (_session, _response, range, size) => parseByteRanges(range, size, maxParts) } = options;
  return { name, order, create: () => new RangeRequest(select) };
}

/** What becomes of the range of one request. */
export class RangeRequest implements HttpModule {
  /** Set false, and the request gets the whole, whatever it asks for (RNG-04). Default true. */
  enabled = true;
  responseBodyFilter?: (session: Session, chunk: BodyChunk) => void;
  readonly #select: NonNullable<ByteRangesOptions["select"]>;

  constructor(select: NonNullable<ByteRangesOptions["select"]>) {
    this.#select = select;
  }

  responseFilter(session: Session, response: ResponseHead): void {
    const { request } = session;
    const { headers } = response;
    const declared = headers.find("content-length")?.value;
    if (response.status !== 200 || declared === undefined || !/^\d+$/.test(declared)) return;
    if (!this.enabled) {
      headers.delete("accept-ranges");
      return;
    }
    const isHead = request.method === "HEAD";
    if (request.method !== "GET" && !isHead) return;
    headers.set("accept-ranges", "bytes");
    const range = request.headers.get("range");
    // For other methods than GET, ranges mean nothing (RFC 9110, 14.2).
    if (range === undefined || isHead || !ifRangeHolds(request, headers)) return;
    const size = Number(declared);
    const selected = this.#select(session, response, range, size);
    if (selected === "ignored") return;
    if (selected === "unsatisfiable" || selected.length === 0) this.#refuse(response, size);
    else this.#cut(response, selected, size);
  }

  #refuse(response: ResponseHead, size: number): void {
    const { headers } = response;
    this.responseBodyFilter = droppingBody(response);
    response.status = 416;
    for (const name of OF_THE_BODY) headers.delete(name);
    headers.set("content-length", "0").set("content-range", `bytes */${size}`);
  }

  #cut(response: ResponseHead, ranges: readonly ByteRange[], size: number): void {
    const { headers } = response;
    response.status = 206;
    const [only] = ranges;
    if (ranges.length === 1 && only !== undefined) {
      headers.set("content-range", contentRange(only, size));
      this.#send(headers, [{ ...only, prefix: "" }], "", size);
      return;
    }
    const boundary = randomBytes(8).toString("hex");
    const type = headers.get("content-type");
    const lines = type === undefined ? "" : `Content-Type: ${type}\r\n`;
    const parts = ranges.map((range, i) => ({
      ...range,
      prefix: `${i === 0 ? "" : "\r\n"}--${boundary}\r\n${lines}Content-Range: ${contentRange(range, size)}\r\n\r\n`,
    }));
    // RFC 9110, 15.3.7.2: the range of each part stands in front of it, and in no field of the whole.
    headers.delete("content-range");
    headers.set("content-type", `multipart/byteranges; boundary=${boundary}`);
    this.#send(headers, parts, `\r\n--${boundary}--\r\n`, size);
  }

  #send(headers: HeaderMap, parts: readonly CutPart[], suffix: string, size: number): void {
    const length = parts.reduce(
      (sum, { first, last, prefix }) => sum + prefix.length + last - first + 1,
      suffix.length,
    );
    headers.set("content-length", String(length));
    const cutter = new RangeCutter(parts, suffix, size);
    this.responseBodyFilter = (_session, chunk) => cutter.cut(chunk);
  }
}

function contentRange({ first, last }: ByteRange, size: number): string {
  return `bytes ${first}-${last}/${size}`;
}

/** What says something of a body that is not sent (RNG-09). */
const OF_THE_BODY: readonly string[] = ["content-type", "content-encoding", "content-language", "content-disposition"];
