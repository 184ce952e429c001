import { type CirqueError, writeResponse } from "@cirque/core";
import { defaultFailToProxy, errorResponse, type FailToProxy } from "../fail-to-proxy.ts";
import { requestSummary } from "../session.ts";
import { settledInTime } from "./callback-deadline.ts";
import type { Exchange } from "./exchange.ts";
import { sendAnswer } from "./send-answer.ts";

/**
 * The request failed for good: the client gets a status, or, when the response has begun, a response that is seen to be
 * cut: never one that passes for whole. Never rejects.
 */
export async function endWithError<Ctx>(exchange: Exchange<Ctx>, error: CirqueError): Promise<void> {
  const { environment, downstream } = exchange;
  const decided = await decide(exchange, error);
  const { status } = decided;
  try {
    if (downstream.responseStarted) {
      if (!downstream.responseEnded) downstream.abort(error);
    } else if (decided instanceof Response) {
      await answer(exchange, () => decided);
    } else if (status === 0) {
      downstream.abort(error);
    } else {
      if (!decided.canReuseDownstream) downstream.keepAlive = false;
      await answer(exchange, () => errorResponse(status));
    }
  } catch (cause) {
    environment.logger.error({ err: cause }, "the answer to a failed request could not be sent");
    downstream.abort(error);
  }
  try {
    log(exchange, error, status);
  } catch (cause) {
    environment.logger.error({ err: cause }, "a callback that says how to log a failed request failed");
    environment.logger.error({ err: error, status }, "a request failed");
  }
}

/** Sends an answer through the modules; without them if it is one of them that fails. */
async function answer<Ctx>(exchange: Exchange<Ctx>, response: () => Response): Promise<void> {
  const { downstream, environment, session } = exchange;
  try {
    await sendAnswer(exchange, response());
  } catch (error) {
    if (session.modules === undefined || downstream.responseStarted) throw error;
    environment.logger.error({ err: error }, "a module failed on the answer to a failed request");
    const again = response();
    const sent = again.bodyUsed || again.body?.locked ? errorResponse(again.status) : again;
    await writeResponse(downstream, sent, session.noteResponse);
  }
}

/** What the proxy's `failToProxy` says; the default when it says nothing, or fails. */
async function decide<Ctx>(exchange: Exchange<Ctx>, error: CirqueError): Promise<Response | FailToProxy> {
  const { environment, session, ctx } = exchange;
  try {
    const decided = environment.callbacks.failToProxy?.(session, error, ctx);
    return (await settledInTime(decided, environment.callbackTimeoutMs)) ?? defaultFailToProxy(error);
  } catch (cause) {
    environment.logger.error({ err: cause }, "the callback `failToProxy` failed");
    return defaultFailToProxy(error);
  }
}

function log<Ctx>(exchange: Exchange<Ctx>, error: CirqueError, status: number): void {
  const { environment, session, ctx } = exchange;
  const { callbacks, logger } = environment;
  if (callbacks.suppressErrorLog?.(session, ctx, error) === true) return;
  const summary = callbacks.requestSummary?.(session, ctx) ?? requestSummary(session);
  const fields = { err: error, status, attempts: session.attempts, client: session.clientAddress, request: summary };
  if (error.source === "downstream") logger.info(fields, "a client's request failed");
  else logger.error(fields, "a request failed");
}
