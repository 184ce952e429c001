import type { ProxyHttp } from "../../src/index.ts";
import { Recorder } from "./recorder.ts";

/** The callbacks that may return a promise. */
export const asyncCallbacks = [
  "earlyRequestFilter",
  "requestFilter",
  "proxyUpstreamFilter",
  "upstreamPeer",
  "connectedToUpstream",
  "upstreamRequestFilter",
  "requestBodyFilter",
  "upstreamResponseFilter",
  "upstreamResponseBodyFilter",
  "upstreamResponseTrailerFilter",
  "responseFilter",
  "responseBodyFilter",
  "responseTrailerFilter",
  "failToProxy",
  "logging",
] as const satisfies readonly (keyof ProxyHttp<unknown>)[];

/** The callbacks that may not. */
export const syncCallbacks = [
  "newCtx",
  "onConnectionReuse",
  "allowSubrequests",
  "failToConnect",
  "errorWhileProxy",
  "suppressErrorLog",
  "requestSummary",
  "persistConnectionContext",
] as const satisfies readonly (keyof ProxyHttp<unknown>)[];

/** One call of a callback. */
export interface Call {
  readonly name: keyof ProxyHttp<unknown>;
  readonly args: readonly unknown[];
}

/** A proxy's callbacks, every one of them there and recorded. Those that `own` does not have do nothing. */
export class TracedCallbacks<Ctx = unknown> {
  readonly calls = new Recorder<Call>();
  readonly callbacks: ProxyHttp<Ctx>;

  /** @param mode Whether what may be a promise is one. */
  constructor(own: ProxyHttp<Ctx>, mode: "sync" | "async" = "sync") {
    const asynchronous: readonly string[] = mode === "async" ? asyncCallbacks : [];
    const entries = [...asyncCallbacks, ...syncCallbacks].map((name) => {
      const run = (args: readonly unknown[]): unknown => {
        this.calls.add({ name, args });
        const callback = own[name] as ((...args: readonly unknown[]) => unknown) | undefined;
        return callback?.apply(own, [...args]);
      };
      const traced = asynchronous.includes(name)
        ? async (...args: readonly unknown[]) => {
            await Promise.resolve();
            return run(args);
          }
        : (...args: readonly unknown[]) => run(args);
      return [name, traced];
    });
    this.callbacks = Object.fromEntries(entries) as unknown as ProxyHttp<Ctx>;
  }

  /** The names, in the order of the calls. */
  get names(): readonly string[] {
    return this.calls.items.map((call) => call.name);
  }

  /** How often a callback was called. */
  count(name: keyof ProxyHttp<unknown>): number {
    return this.names.filter((other) => other === name).length;
  }

  /** Resolves when a callback was called so many times. */
  async called(name: keyof ProxyHttp<unknown>, times = 1): Promise<void> {
    while (this.count(name) < times) await this.calls.count(this.calls.length + 1);
  }
}
