import { CirqueError } from "@cirque/core";
import type { RequestHead, ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import type { Session } from "../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/** Settings of {@link bodyLimits}. */
export interface BodyLimitsOptions extends ModuleOptions {
  /** Bytes of a request body. Default: no limit. */
  readonly requestBytes?: number;
  /** Bytes of a response body. Default: no limit. */
  readonly responseBytes?: number;
}

/**
 * Limits the size of bodies. A request that declares more is answered with 413 and not read; one that turns out to have
 * more, as soon as it has. A response that declares more becomes 502; one that turns out to have more is cut.
 *
 * @throws CirqueError `InvalidArgument` for a limit that is none.
 * @example
 * const limits = bodyLimits({ requestBytes: 1024 * 1024 });
 * const callbacks = {
 *   earlyRequestFilter(session) {
 *     if (session.request.path.startsWith("/upload/")) session.module(limits).requestBytes = 1024 ** 3;
 *   },
 *   ...
 * };
 */
export function bodyLimits(options: BodyLimitsOptions): HttpModuleFactory<BodyLimits> {
  const { name = "body limits", order = 900 } = options;
  const { requestBytes = Number.POSITIVE_INFINITY, responseBytes = Number.POSITIVE_INFINITY } = options;
  for (const [key, bytes] of Object.entries({ requestBytes, responseBytes })) {
    if (!(bytes >= 0))
      throw CirqueError.internal("InvalidArgument", `${key} is ${bytes}: a number of bytes is expected`);
  }
  return { name, order, create: () => new BodyLimits(requestBytes, responseBytes) };
}

/** The limits of one request: change them in `earlyRequestFilter`. */
export class BodyLimits implements HttpModule {
  /** Bytes of the request body; `Infinity` for no limit. */
  requestBytes: number;
  /** Bytes of the response body, likewise. */
  responseBytes: number;
  requestBodyFilter?: (session: Session, chunk: BodyChunk) => void;
  responseBodyFilter?: (session: Session, chunk: BodyChunk) => void;

  constructor(requestBytes: number, responseBytes: number) {
    this.requestBytes = requestBytes;
    this.responseBytes = responseBytes;
  }

  requestFilter(_session: Session, request: RequestHead): Response | undefined {
    const limit = this.requestBytes;
    if (declaredLength(request) > limit) return new Response("413 Content Too Large\n", { status: 413 });
    if (limit === Number.POSITIVE_INFINITY) return undefined;
    const message = `the request body has more than ${limit} bytes`;
    this.requestBodyFilter = counting(limit, () => CirqueError.httpStatus(413, message, { source: "downstream" }));
    return undefined;
  }

  responseFilter(session: Session, response: ResponseHead): void {
    const limit = this.responseBytes;
    // The length of a response without a body is that of another one's.
    if (limit === Number.POSITIVE_INFINITY || session.request.method === "HEAD" || response.status === 304) return;
    const message = `the response body has more than ${limit} bytes`;
    if (declaredLength(response) > limit) throw CirqueError.httpStatus(502, message, { source: "upstream" });
    this.responseBodyFilter = counting(limit, () => CirqueError.upstream("ReadError", message));
  }
}

/** Counts the bytes of a body, and throws when they are more than the limit. */
function counting(limit: number, error: () => CirqueError): (session: Session, chunk: BodyChunk) => void {
  let seen = 0;
  return (_session, { data }) => {
    seen += data?.length ?? 0;
    if (seen > limit) throw error();
  };
}

/** The declared length of a body; NaN for none. */
function declaredLength(head: RequestHead | ResponseHead): number {
  return Number(head.headers.find("content-length")?.value ?? Number.NaN);
}
