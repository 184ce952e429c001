import type { CirqueError } from "@cirque/core";
import { defaultFailToProxy, errorResponse } from "../fail-to-proxy.ts";
import { requestSummary } from "../session.ts";
import type { Exchange } from "./exchange.ts";
import { respond } from "./respond.ts";

/**
 * The request failed for good: the client gets a status, or, when the response has begun, a response that is seen to be
 * cut: never one that passes for whole. Never rejects.
 */
export async function endWithError<Ctx>(exchange: Exchange<Ctx>, error: CirqueError): Promise<void> {
  const { environment, downstream, session, ctx } = exchange;
  const { callbacks, logger } = environment;
  let status = 0;
  try {
    const decided = (await callbacks.failToProxy?.(session, error, ctx)) ?? defaultFailToProxy(error);
    status = decided.status;
    if (downstream.responseStarted) {
      if (!downstream.responseEnded) downstream.abort(error);
    } else if (decided instanceof Response) {
      await respond(downstream, session, decided);
    } else if (status === 0) {
      downstream.abort(error);
    } else {
      if (!decided.canReuseDownstream) downstream.keepAlive = false;
      await respond(downstream, session, errorResponse(status));
    }
  } catch (cause) {
    logger.error({ err: cause }, "the answer to a failed request could not be sent");
    downstream.abort(error);
  }
  if (callbacks.suppressErrorLog?.(session, ctx, error) === true) return;
  const summary = callbacks.requestSummary?.(session, ctx) ?? requestSummary(session);
  const fields = { err: error, status, attempts: session.attempts, client: session.clientAddress, request: summary };
  if (error.source === "downstream") logger.info(fields, "a client's request failed");
  else logger.error(fields, "a request failed");
}
