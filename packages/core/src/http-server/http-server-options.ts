import {
  type Http1ServerOptions,
  type ResolvedHttp1ServerOptions,
  resolveServerOptions,
} from "../http1/server-options.ts";
import {
  type Http2ServerOptions,
  type ResolvedHttp2ServerOptions,
  resolveHttp2ServerOptions,
} from "../http2/server-options.ts";
import { withDefaults } from "../options/with-defaults.ts";

/**
 * Limits and time-outs of connections with clients. Those beside `http2` hold for HTTP/1.1, and the ones that HTTP/2 has
 * as well hold for both.
 */
export interface HttpServerOptions extends Http1ServerOptions {
  /** What holds for HTTP/2 alone. With false, no HTTP/2 is spoken. */
  readonly http2?: Http2ServerOptions | false;
  /** Whether HTTP/2 is spoken without TLS, on the same ports as HTTP/1.1 (H2S-09). Default true. */
  readonly h2c?: boolean;
}

/** The options of both, with every default filled in. */
export interface ResolvedHttpServerOptions {
  readonly http1: ResolvedHttp1ServerOptions;
  /** Undefined: no HTTP/2. */
  readonly http2: ResolvedHttp2ServerOptions | undefined;
  readonly h2c: boolean;
}

/**
 * Fills in the defaults.
 * @throws CirqueError `InvalidArgument` for a value that is not of its option's kind. RangeError for a limit below 1.
 */
export function resolveHttpServerOptions(options: HttpServerOptions = {}): ResolvedHttpServerOptions {
  const { http2 = {}, h2c, ...http1 } = options;
  const { h2c: withoutTls } = withDefaults({ h2c: true }, h2c === undefined ? {} : { h2c });
  return {
    http1: resolveServerOptions(http1),
    http2: http2 === false ? undefined : resolveHttp2ServerOptions({ ...sharedOf(http1), ...http2 }),
    h2c: withoutTls && http2 !== false,
  };
}

function sharedOf(options: Http1ServerOptions): Http2ServerOptions {
  const shared: Record<string, unknown> = {};
  for (const name of SHARED) shared[name] = options[name];
  if (options.keepAliveTimeoutMs !== undefined) shared.idleTimeoutMs = options.keepAliveTimeoutMs;
  return shared;
}

const SHARED = [
  "limits",
  "headTimeoutMs",
  "bodyTimeoutMs",
  "minimumBodyRate",
  "writeTimeoutMs",
  "maxRequestsPerConnection",
  "allowConnect",
] as const satisfies readonly (keyof Http1ServerOptions & keyof Http2ServerOptions)[];
