import { evaluatePreconditions, type ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import type { Session } from "../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/** The rest of a body that is read and dropped, so that the connection can be used again. */
const WORTH_READING_BYTES = 64 * 1024;

/**
 * Answers conditional GET and HEAD requests for origins that do not (RFC 9110, 13; RNG-01..RNG-03): a 200 whose entity tag
 * or date is what the client has becomes 304; one that the client does not want any more, 412. Responses with another
 * status have been decided on by the origin; so have requests with other methods, which it has already carried out.
 *
 * @example
 * const modules = [conditionalRequests()];
 */
export function conditionalRequests({
  name = "conditional requests",
  order = -100,
}: ModuleOptions = {}): HttpModuleFactory<HttpModule> {
  return { name, order, create: () => new ConditionalRequest() };
}

class ConditionalRequest implements HttpModule {
  responseBodyFilter?: (session: Session, chunk: BodyChunk) => void;

  responseFilter(session: Session, response: ResponseHead): void {
    const { request } = session;
    if (response.status !== 200 || (request.method !== "GET" && request.method !== "HEAD")) return;
    const outcome = evaluatePreconditions(request, response.headers);
    if (outcome === "proceed") return;
    this.responseBodyFilter = droppingBody(response);
    response.status = outcome === "not-modified" ? 304 : 412;
    const gone = outcome === "not-modified" ? NOT_IN_304 : NOT_IN_412;
    for (const name of gone) response.headers.delete(name);
    if (outcome === "failed") response.headers.append("content-length", "0");
  }
}

/** Drops a body: to its end, where that is near, and else at once. */
export function droppingBody(response: ResponseHead): (session: Session, chunk: BodyChunk) => void {
  const short = Number(response.headers.find("content-length")?.value ?? Number.NaN) <= WORTH_READING_BYTES;
  return (_session, chunk) => {
    chunk.data = undefined;
    if (!short) chunk.end = true;
  };
}

/** What says something of a body that is not sent (RFC 9110, 15.4.5). */
const NOT_IN_304: readonly string[] = [
  "content-length",
  "content-type",
  "content-encoding",
  "content-language",
  "accept-ranges",
];
const NOT_IN_412: readonly string[] = [...NOT_IN_304, "content-range", "content-disposition", "etag", "last-modified"];
