import type { CirqueError } from "@cirque/core";
import type { ProxyHttp } from "../proxy-http.ts";
import type { Session } from "../session.ts";

/** The name of a callback. */
export type CallbackName = keyof ProxyHttp<unknown>;

/** Calls the callbacks of a proxy, and notes their names in the order of the calls, and how the exchange ended. */
export class CallbackTrace<Ctx> {
  readonly names: CallbackName[] = [];
  readonly callbacks: ProxyHttp<Ctx>;
  error: CirqueError | undefined;

  constructor(callbacks: ProxyHttp<Ctx>) {
    const traced: Partial<Record<CallbackName, unknown>> = {};
    for (const name of Object.keys(CALLBACKS) as CallbackName[]) {
      const callback = callbacks[name] as ((...args: readonly unknown[]) => unknown) | undefined;
      if (typeof callback !== "function") continue;
      traced[name] = (...args: readonly unknown[]) => {
        this.names.push(name);
        return callback.apply(callbacks, [...args]);
      };
    }
    const logging = traced.logging as ProxyHttp<Ctx>["logging"];
    traced.logging = (session: Session, error: CirqueError | undefined, ctx: Ctx) => {
      this.error = error;
      return logging?.(session, error, ctx);
    };
    this.callbacks = traced as unknown as ProxyHttp<Ctx>; // the same callbacks
  }
}

/** All of them: the compiler sees to it. */
const CALLBACKS: Readonly<Record<CallbackName, true>> = {
  newCtx: true,
  onConnectionReuse: true,
  earlyRequestFilter: true,
  allowSubrequests: true,
  requestFilter: true,
  proxyUpstreamFilter: true,
  upstreamPeer: true,
  failToConnect: true,
  connectedToUpstream: true,
  upstreamRequestFilter: true,
  requestBodyFilter: true,
  adjustUpstreamModules: true,
  upstreamResponseFilter: true,
  upstreamResponseBodyFilter: true,
  upstreamResponseTrailerFilter: true,
  responseFilter: true,
  responseBodyFilter: true,
  responseTrailerFilter: true,
  errorWhileProxy: true,
  failToProxy: true,
  suppressErrorLog: true,
  requestSummary: true,
  logging: true,
  persistConnectionContext: true,
};
