import { CirqueError, writeResponse } from "@cirque/core";
import { HeaderMap, ResponseHead, stripHopByHop } from "@cirque/http";
import { isPromise } from "../maybe-promise.ts";
import type { ModuleChain } from "../modules/module-chain.ts";
import { answerStages } from "./download-stage.ts";
import type { Exchange } from "./exchange.ts";
import { StreamBody } from "./stream-body.ts";

/** Sends the answer of a callback or a module to the client, through the response methods of the modules. */
export function sendAnswer<Ctx>(exchange: Exchange<Ctx>, answer: Response): Promise<void> {
  const { downstream, session } = exchange;
  if (session.modules === undefined) return writeResponse(downstream, answer, session.noteResponse);
  return sendThroughModules(exchange, answer, session.modules);
}

async function sendThroughModules<Ctx>(exchange: Exchange<Ctx>, answer: Response, modules: ModuleChain): Promise<void> {
  if (answer.bodyUsed || answer.body?.locked) {
    throw CirqueError.internal("InvalidArgument", "a Response can be sent once: make a new one for each request");
  }
  const { downstream, session } = exchange;
  const head = new ResponseHead(answer.status === 0 ? 500 : answer.status, new HeaderMap(answer.headers));
  if (answer.statusText !== "") head.reason = answer.statusText;
  stripHopByHop(head.headers);
  const body = new StreamBody(answer.body, session.signal);
  try {
    const length = await body.open();
    const hasLength = head.headers.has("content-length") || head.status === 204 || head.status === 304;
    if (length !== undefined && !hasLength) head.headers.append("content-length", String(length));
    const passed = exchange.inTime(modules.responseFilter(head));
    if (isPromise(passed)) await passed;
    session.response = head;
    if (downstream.method === "HEAD") downstream.writeHead(head, true);
    else await exchange.carryBody(body, head, answerStages(exchange, modules));
  } finally {
    // Of a body that was read to its end, nothing is left to be let go of.
    body.cancel();
  }
}
