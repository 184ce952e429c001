import { constants } from "node:http2";
import { CirqueError } from "../errors/cirque-error.ts";
import { nameOf } from "./reset-codes.ts";

/** An error that a stream ends with, and what it says about the request. */
export interface StreamFailure {
  readonly error: CirqueError;
  /** Whether the origin said that it has done nothing with the request: any may be sent again (RFC 9113, 8.7). */
  readonly unprocessed: boolean;
}

/**
 * What a stream that was closed with this code means (H2C-02, ERRP-04).
 * @param mayUseHttp1 Whether the request may be sent over HTTP/1.1 instead.
 */
export function streamFailure(code: number, mayUseHttp1: boolean, cause: Error | undefined): StreamFailure {
  const options = { context: { http2Code: code }, ...(cause && { cause }) };
  switch (code) {
    case constants.NGHTTP2_REFUSED_STREAM: {
      const message = "the origin refused the request before it did anything with it (REFUSED_STREAM)";
      return { error: CirqueError.upstream("H2Error", message, { ...options, retry: true }), unprocessed: true };
    }
    case constants.NGHTTP2_HTTP_1_1_REQUIRED: {
      const message = "the origin wants the request over HTTP/1.1 (HTTP_1_1_REQUIRED)";
      const error = CirqueError.upstream("H2Downgrade", message, { ...options, retry: mayUseHttp1 });
      return { error, unprocessed: true };
    }
    case constants.NGHTTP2_PROTOCOL_ERROR: {
      // nghttp2 resets a stream whose response is malformed with the code that an origin uses for a malformed request.
      const context = { ...options.context, reason: "http2-protocol-error" };
      const message = "the response is malformed, or the origin takes the request for it (PROTOCOL_ERROR)";
      return { error: CirqueError.upstream("H2Error", message, { ...options, context }), unprocessed: false };
    }
    case constants.NGHTTP2_NO_ERROR: {
      const message = "the origin ended the stream before its response was whole";
      return { error: CirqueError.upstream("H2Error", message, options), unprocessed: false };
    }
    default: {
      const message = `the stream was reset (${nameOf(code)})`;
      return { error: CirqueError.upstream("H2Error", message, options), unprocessed: false };
    }
  }
}

/** What the end of a connection means for a request on it that was not answered whole. */
export function connectionFailure(
  cause: CirqueError,
  streamId: number | undefined,
  lastStreamId: number | undefined,
): StreamFailure {
  // RFC 9113, 6.8: the origin has not looked at streams beyond the last one that its GOAWAY names.
  const unprocessed = streamId === undefined || (lastStreamId !== undefined && streamId > lastStreamId);
  // Each request has an error of its own: what it decides about another attempt is written into it.
  const error = CirqueError.upstream(cause.code, cause.message, {
    cause: cause.cause,
    context: cause.context,
    retry: unprocessed ? true : cause.retry,
  });
  return { error, unprocessed };
}

/** What broke a connection, as `node:http2` says it. One bad response is enough, and takes those beside it along. */
export function sessionError(cause: unknown): CirqueError {
  const { message = String(cause), code } = cause as NodeJS.ErrnoException;
  if (code === "ERR_HTTP2_ERROR") {
    return CirqueError.upstream("InvalidH2", `the origin does not speak HTTP/2 as it should: ${message}`, {
      cause,
      retry: true,
      context: { reason: "http2-invalid" },
    });
  }
  return CirqueError.upstream("ConnectionClosed", `the connection to the origin broke: ${message}`, {
    cause,
    retry: "reused-only",
  });
}

/** An origin that gives the whole connection up. */
export function goawayError(code: number): CirqueError {
  return CirqueError.upstream("H2Error", `the origin closed the connection (GOAWAY, ${nameOf(code)})`, {
    retry: "reused-only",
    context: { http2Code: code },
  });
}
