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

/** The limits of one request: change them before its body is read. */
export class BodyLimits implements HttpModule {
  /** Bytes of the request body; `Infinity` for no limit. */
  requestBytes: number;
  /** Bytes of the response body, likewise. */
  responseBytes: number;
  #requestBytesSeen = 0;
  #responseBytesSeen = 0;

  constructor(requestBytes: number, responseBytes: number) {
    this.requestBytes = requestBytes;
    this.responseBytes = responseBytes;
  }

  requestFilter(_session: Session, request: RequestHead): Response | undefined {
    if (!(declaredLength(request) > this.requestBytes)) return undefined;
    return new Response("413 Content Too Large\n", { status: 413 });
  }

  requestBodyFilter(_session: Session, { data }: BodyChunk): void {
    this.#requestBytesSeen += data?.length ?? 0;
    if (this.#requestBytesSeen > this.requestBytes) {
      throw CirqueError.httpStatus(413, `the request body has more than ${this.requestBytes} bytes`, {
        source: "downstream",
      });
    }
  }

  responseFilter(session: Session, response: ResponseHead): void {
    // The length of a response without a body is that of another one's.
    if (session.request.method === "HEAD" || response.status === 304) return;
    if (declaredLength(response) > this.responseBytes) {
      throw CirqueError.httpStatus(502, `the response declares more than ${this.responseBytes} bytes`, {
        source: "upstream",
      });
    }
  }

  responseBodyFilter(_session: Session, { data }: BodyChunk): void {
    this.#responseBytesSeen += data?.length ?? 0;
    if (this.#responseBytesSeen > this.responseBytes) {
      throw CirqueError.upstream("ReadError", `the response body has more than ${this.responseBytes} bytes`);
    }
  }
}

/** The declared length of a body; NaN for none. */
function declaredLength(head: RequestHead | ResponseHead): number {
  return Number(head.headers.find("content-length")?.value ?? Number.NaN);
}
