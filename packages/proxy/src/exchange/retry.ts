import type { CirqueError, ClientSession } from "@cirque/core";
import type { RetryBuffer } from "./retry-buffer.ts";

/**
 * Whether a failed attempt may be followed by another (ERRP-01..ERRP-06; RFC 9110, 9.2.2): the error says that it is
 * worth it, the body can be sent again, and either nothing of the request has left, or sending it twice does no harm.
 * @param upstream The session that failed; undefined when no connection was made.
 */
export function mayTryAgain(
  error: CirqueError,
  method: string,
  upstream: ClientSession | undefined,
  kept: RetryBuffer | undefined,
): boolean {
  if (error.retry !== true || kept?.truncated) return false;
  return upstream === undefined || !upstream.requestStarted || isIdempotent(method);
}

/** Whether a request does the same however often it is sent (RFC 9110, 9.2.2). */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);
