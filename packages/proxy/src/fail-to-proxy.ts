import type { CirqueError } from "@cirque/core";
import { reasonPhrase } from "@cirque/http";

/** How a failed request ends (PH-36). */
export interface FailToProxy {
  /** The status to answer with; 0: nothing, the connection is just closed. */
  readonly status: number;
  /** Whether the client's connection may carry another request (ERRP-08). */
  readonly canReuseDownstream: boolean;
}

/**
 * The default end (ERRP-07): the status an error names; 504 for an origin that is late, 503 for one that has all the
 * connections that it may have, or is left alone for a while, and 502 for any other fault of an origin; nothing for a
 * client that has gone, 400 for another fault of a client; else 500.
 */
export function defaultFailToProxy(error: CirqueError): FailToProxy {
  return { status: statusOf(error), canReuseDownstream: false };
}

function statusOf(error: CirqueError): number {
  if (error.code === "HTTPStatus" && error.status !== undefined) return error.status;
  if (error.source === "upstream") return TOO_LATE.has(error.code) ? 504 : TOO_MANY.has(error.code) ? 503 : 502;
  if (error.source === "downstream") return CLIENT_GONE.has(error.code) ? 0 : 400;
  return 500;
}

/** The answer to the client: the status and nothing of what went wrong, which is for the log alone. */
export function errorResponse(status: number): Response {
  // What is no status of a response comes from a mistake in a callback.
  const sent = Number.isInteger(status) && status >= 200 && status <= 599 ? status : 500;
  return new Response(WITHOUT_BODY.has(sent) ? null : `${sent} ${reasonPhrase(sent)}\n`, {
    status: sent,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "private, no-store" },
  });
}

const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);
const TOO_LATE: ReadonlySet<string> = new Set([
  "ConnectTimedout",
  "TLSHandshakeTimedout",
  "ReadTimedout",
  "WriteTimedout",
  "PingTimedout",
]);
const TOO_MANY: ReadonlySet<string> = new Set(["ConnectionLimitReached", "ConnectionLimitTimedout", "CircuitOpen"]);
const CLIENT_GONE: ReadonlySet<string> = new Set(["ReadError", "WriteError", "WriteTimedout", "ConnectionClosed"]);
