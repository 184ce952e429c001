import { isResponse, type Logger } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import type { BodyChunk } from "../body-chunk.ts";
import { isPromise, type MaybePromise } from "../maybe-promise.ts";
import type { Session } from "../session.ts";
import type { HttpModule, HttpModuleFactory } from "./http-module.ts";

/** The modules of one request, in their order, and the phases that go through all of them. */
export class ModuleChain {
  readonly #session: Session;
  readonly #factories: readonly HttpModuleFactory[];
  readonly #modules: (HttpModule | undefined)[] = [];

  constructor(session: Session, factories: readonly HttpModuleFactory[]) {
    this.#session = session;
    this.#factories = factories;
  }

  /** Makes the modules. What one throws leaves those before it, which are told when the request is over. */
  create(): void {
    for (const factory of this.#factories) this.#modules.push(factory.create(this.#session));
  }

  /** Whether `factory` is one of these. */
  includes(factory: HttpModuleFactory): boolean {
    return this.#factories.includes(factory);
  }

  /** What `factory` made. */
  moduleOf(factory: HttpModuleFactory): HttpModule | undefined {
    return this.#modules[this.#factories.indexOf(factory)];
  }

  /** Those that are there, in order. */
  *[Symbol.iterator](): Generator<HttpModule> {
    for (const module of this.#modules) if (module !== undefined) yield module;
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as the modules' own
  requestFilter(from = 0): MaybePromise<Response | void> {
    const { request } = this.#session;
    for (let i = from; i < this.#modules.length; i++) {
      const answer = this.#modules[i]?.requestFilter?.(this.#session, request);
      if (isPromise(answer)) {
        return answer.then((settled) => (isResponse(settled) ? settled : this.requestFilter(i + 1)));
      }
      if (isResponse(answer)) return answer;
    }
    return undefined;
  }

  /** The modules' filters of the request body as one; undefined when none has any. */
  requestBodyFilter(): ((chunk: BodyChunk) => MaybePromise<void>) | undefined {
    const modules = this.#modules.filter((module) => module?.requestBodyFilter !== undefined);
    if (modules.length === 0) return undefined;
    // Those that have more to give of a piece, as the stages of a download: see `BodyChunk.more`.
    const unfinished: { readonly module: number; readonly end: boolean }[] = [];
    const noteMore = (chunk: BodyChunk, module: number): void => {
      if (!chunk.more) return;
      unfinished.push({ module, end: chunk.end });
      chunk.more = false;
      chunk.end = false;
    };
    const filterFrom = (chunk: BodyChunk, from: number): MaybePromise<void> => {
      for (let i = from; i < modules.length; i++) {
        const result = modules[i]?.requestBodyFilter?.(this.#session, chunk);
        if (isPromise(result)) {
          return result.then(() => {
            noteMore(chunk, i);
            return filterFrom(chunk, i + 1);
          });
        }
        noteMore(chunk, i);
      }
      chunk.more = unfinished.length > 0;
      return undefined;
    };
    return (chunk) => {
      const again = unfinished.pop();
      if (again === undefined) return filterFrom(chunk, 0);
      chunk.end = again.end;
      return filterFrom(chunk, again.module);
    };
  }

  responseFilter(response: ResponseHead, from = 0): MaybePromise<void> {
    for (let i = from; i < this.#modules.length; i++) {
      const result = this.#modules[i]?.responseFilter?.(this.#session, response);
      if (isPromise(result)) return result.then(() => this.responseFilter(response, i + 1));
    }
    return undefined;
  }

  /** Tells each that the exchange is over. One that throws does not keep the others from it. */
  done(logger: Logger): void {
    for (const module of this.#modules) {
      try {
        module?.done?.(this.#session);
      } catch (error) {
        logger.error({ err: error }, "the method `done` of a module failed");
      }
    }
  }
}
