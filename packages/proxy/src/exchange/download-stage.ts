import type { HeaderMap } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import type { MaybePromise } from "../maybe-promise.ts";
import type { ModuleChain } from "../modules/module-chain.ts";
import type { Exchange } from "./exchange.ts";

/** One filter on the way of a response body: of its pieces, and of the trailers behind them. */
export interface DownloadStage {
  /** Changes a piece; a number is a pause in milliseconds. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that wants no pause returns nothing
  readonly body: ((chunk: BodyChunk) => MaybePromise<number | void>) | undefined;
  /** Changes the trailers; bytes take their place, at the end of the body. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a filter that leaves trailers what they are returns nothing
  readonly trailers: ((trailers: HeaderMap) => MaybePromise<Buffer | void>) | undefined;
}

/**
 * The filters of a response that an origin sends, in order: upstream modules, the user's, modules. Ask for them when the
 * head has passed all of its filters.
 */
export function downloadStages<Ctx>(exchange: Exchange<Ctx>): readonly DownloadStage[] {
  const { callbacks } = exchange.environment;
  const { upstreamModules, modules } = exchange.session;
  const { upstreamResponseBodyFilter, upstreamResponseTrailerFilter } = callbacks;
  const { responseBodyFilter, responseTrailerFilter } = callbacks;
  if (
    upstreamModules === undefined &&
    upstreamResponseBodyFilter === undefined &&
    upstreamResponseTrailerFilter === undefined &&
    responseBodyFilter === undefined &&
    responseTrailerFilter === undefined &&
    modules === undefined
  ) {
    return NONE;
  }
  const stages: DownloadStage[] = [];
  if (upstreamModules !== undefined) addModules(stages, exchange, upstreamModules);
  addCallbacks(stages, exchange, upstreamResponseBodyFilter, upstreamResponseTrailerFilter);
  addCallbacks(stages, exchange, responseBodyFilter, responseTrailerFilter);
  if (modules !== undefined) addModules(stages, exchange, modules);
  return stages;
}

/** The filters of the bytes that a tunnel carries to the client: the user's, for modules know messages only. */
export function tunnelStages<Ctx>(exchange: Exchange<Ctx>): readonly DownloadStage[] {
  const { upstreamResponseBodyFilter, responseBodyFilter } = exchange.environment.callbacks;
  const stages: DownloadStage[] = [];
  addCallbacks(stages, exchange, upstreamResponseBodyFilter, undefined);
  addCallbacks(stages, exchange, responseBodyFilter, undefined);
  return stages;
}

/** The filters of an answer that comes from a callback or a module. */
export function answerStages<Ctx>(exchange: Exchange<Ctx>, modules: ModuleChain): readonly DownloadStage[] {
  const stages: DownloadStage[] = [];
  addModules(stages, exchange, modules);
  return stages;
}

function addModules<Ctx>(stages: DownloadStage[], exchange: Exchange<Ctx>, modules: ModuleChain): void {
  const { session } = exchange;
  for (const module of modules) {
    const body = module.responseBodyFilter;
    const trailers = module.responseTrailerFilter;
    if (body === undefined && trailers === undefined) continue;
    stages.push({
      body: body && ((chunk) => exchange.inTime(body.call(module, session, chunk))),
      trailers: trailers && ((fields) => exchange.inTime(trailers.call(module, session, fields))),
    });
  }
}

function addCallbacks<Ctx>(
  stages: DownloadStage[],
  exchange: Exchange<Ctx>,
  body: Exchange<Ctx>["environment"]["callbacks"]["responseBodyFilter"],
  trailers: Exchange<Ctx>["environment"]["callbacks"]["responseTrailerFilter"],
): void {
  if (body === undefined && trailers === undefined) return;
  const { session, ctx } = exchange;
  const { callbacks } = exchange.environment;
  stages.push({
    body: body && ((chunk) => exchange.inTime(body.call(callbacks, session, chunk, ctx))),
    trailers: trailers && ((fields) => exchange.inTime(trailers.call(callbacks, session, fields, ctx))),
  });
}

const NONE: readonly DownloadStage[] = [];
