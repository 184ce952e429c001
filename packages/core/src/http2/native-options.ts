import type { ServerSessionOptions } from "node:http2";
import type { ResolvedHttp2ServerOptions } from "./server-options.ts";

/** What `node:http2` is told: our limits where it knows such a limit, and wider ones where we count more exactly. */
export function nativeServerOptions(options: ResolvedHttp2ServerOptions): ServerSessionOptions {
  const { limits } = options;
  const native: ServerSessionOptions & NewerOptions = {
    settings: {
      maxConcurrentStreams: options.maxConcurrentStreams,
      initialWindowSize: options.streamWindowBytes,
      maxHeaderListSize: limits.headBytes,
      enableConnectProtocol: options.extendedConnect,
      enablePush: false,
    },
    maxSessionMemory: Math.max(1, options.maxSessionMemoryBytes / 1_000_000),
    // Crumbs of cookies and pseudo-fields count here, and not among the fields of a head.
    maxHeaderListPairs: limits.fields * 2,
    maxSessionInvalidFrames: Math.min(options.maxInvalidFrames, UINT32_MAX),
    maxSessionRejectedStreams: 100,
    // Where a filter or an origin sends two of a field that should be one, the client gets both, as over HTTP/1.1.
    strictSingleValueFields: false,
    // What is counted by answers (`maxResets`) is the first limit; this one is for resets that come faster than turns.
    streamResetBurst: Math.max(1_000, Math.min(options.maxResets, UINT32_MAX) * 4),
    streamResetRate: 100,
  };
  return native;
}

const UINT32_MAX = 2 ** 32 - 1;

/** Options that `node:http2` has, and its types may leave out. */
interface NewerOptions {
  readonly strictSingleValueFields?: boolean;
  readonly streamResetBurst?: number;
  readonly streamResetRate?: number;
  readonly maxSessionInvalidFrames?: number;
  readonly maxSessionRejectedStreams?: number;
}
