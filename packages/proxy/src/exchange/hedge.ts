import { CirqueError, type ClientSession, type HttpPeer, isResponse } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import type { Exchange } from "./exchange.ts";
import { upstreamRequest } from "./upstream-request.ts";

/** One attempt of several that are under way: a session with an origin that was sent the request. */
export interface SentRequest {
  readonly upstream: ClientSession;
  readonly peer: HttpPeer;
  readonly head: Promise<ResponseHead>;
}

/**
 * Waits for the first response head of an attempt, and, when it is late, of a second one beside it (ERRP-11). The one that
 * loses is aborted; when one fails, the other is waited for. Interim responses stay here.
 *
 * @throws what the first attempt failed with, when both fail.
 */
export async function firstToAnswer<Ctx>(
  exchange: Exchange<Ctx>,
  first: SentRequest,
  afterMs: number,
): Promise<{ readonly response: ResponseHead; readonly from: SentRequest }> {
  const late = Symbol("late");
  let timer: NodeJS.Timeout | undefined;
  const lateness = new Promise<typeof late>((resolve) => {
    timer = setTimeout(resolve, afterMs, late);
  });
  try {
    const early = await Promise.race([first.head, lateness]);
    if (early !== late) return { response: early, from: first };
  } finally {
    clearTimeout(timer);
  }
  const hedge = new AbortController();
  exchange.hedge = hedge;
  const second = sendToAnother(exchange, first.peer, hedge.signal);
  const answers = [first, second].map(async (attempt) => {
    const from = await attempt;
    return { response: await from.head, from };
  });
  try {
    const winner = await Promise.any(answers);
    const lost = CirqueError.internal("ConnectionClosed", "another origin answered first");
    if (winner.from === first) hedge.abort(lost);
    else first.upstream.abort(lost);
    second.catch(ignore);
    return winner;
  } catch (error) {
    // Both have failed; what the first one failed with is what there would be without a second.
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    exchange.hedge = undefined;
  }
}

/** The final response head: interim ones are dropped. */
export async function finalHead(upstream: ClientSession): Promise<ResponseHead> {
  let head = await upstream.readHead();
  while (head.informational) head = await upstream.readHead();
  return head;
}

/** Asks for a peer once more, and sends the request there: without a body, since only such requests get here. */
async function sendToAnother<Ctx>(
  { environment, session, downstream, ctx }: Exchange<Ctx>,
  former: HttpPeer,
  signal: AbortSignal,
): Promise<SentRequest> {
  const { callbacks, connector, retry } = environment;
  if (!retry.allowsRetry()) throw refused("the retry budget is used up");
  const peer = await callbacks.upstreamPeer(session, ctx);
  if (isResponse(peer)) throw refused("there is no other origin");
  if (peer.address === former.address && peer.reuseKey === former.reuseKey) throw refused("it is the same origin");
  const upstream = connector.keptSession(peer) ?? (await connector.newSession(peer, false, signal));
  const abort = (): void => upstream.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  session.attempts++;
  await callbacks.connectedToUpstream?.(session, upstream.reused, peer, ctx);
  const request = upstreamRequest(session.request, peer, downstream.upgradeRequested);
  await callbacks.upstreamRequestFilter?.(session, request, ctx);
  upstream.writeHead(request, false);
  upstream.end();
  upstream.flush();
  const head = finalHead(upstream);
  head.catch(ignore); // whoever races it is told
  return { upstream, peer, head };
}

function refused(why: string): CirqueError {
  return CirqueError.internal("InternalError", `no second origin is asked: ${why}`);
}

function ignore(): void {}
