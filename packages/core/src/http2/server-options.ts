import { DEFAULT_LIMITS, type ParserLimits, RequestParser } from "@cirque/http";
import { withDefaults } from "../options/with-defaults.ts";

/**
 * Limits and time-outs of HTTP/2 connections with clients (H2S-01, V9-01). Milliseconds and bytes; `Infinity` switches a
 * time-out or budget off.
 */
export interface Http2ServerOptions {
  /** What a field section may be at most: `headBytes`, `fieldBytes`, `fields`, `targetBytes`, `trailerBytes`. */
  readonly limits?: Partial<ParserLimits>;
  /** Requests at once on one connection. Default 128. */
  readonly maxConcurrentStreams?: number;
  /** Requests on one connection; behind the last one it closes. Default 10,000. */
  readonly maxRequestsPerConnection?: number;
  /** How far one request body may run ahead of its reader. Default 256 KiB. */
  readonly streamWindowBytes?: number;
  /** How much all request bodies of a connection may send before we have read any of it. Default 1 MiB. */
  readonly connectionWindowBytes?: number;
  /** The memory that nghttp2 may take for one connection; beyond it new requests are refused. Default 10 MB. */
  readonly maxSessionMemoryBytes?: number;
  /** From the connection to the client's settings. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** A block of header fields, from its begin to its end. Default 10 s. */
  readonly headTimeoutMs?: number;
  /** Silence in the middle of a request body. Default 30 s; then 408. */
  readonly bodyTimeoutMs?: number;
  /** The rate, in bytes a second, that a request body must keep once `bodyTimeoutMs` has passed. Default 100; then 408. */
  readonly minimumBodyRate?: number;
  /** A client that takes nothing of a response. Default 60 s; then its stream is reset. */
  readonly writeTimeoutMs?: number;
  /** A connection without requests (V9-03). Default 75 s; then GOAWAY, and it closes. */
  readonly idleTimeoutMs?: number;
  /** Requests that may be reset within `resetWindowMs`, beyond as many as were answered. Default 100; then GOAWAY 11. */
  readonly maxResets?: number;
  /** Default 10 s. */
  readonly resetWindowMs?: number;
  /** Malformed requests on one connection, however many good ones came between (V9-02). Default 32; then GOAWAY 11. */
  readonly maxMalformedRequests?: number;
  /** Empty DATA frames, and frames that nghttp2 itself finds invalid, on one connection. Default 100; then it closes. */
  readonly maxInvalidFrames?: number;
  /**
   * Bytes in ten seconds that carry neither a request nor a body: PING, SETTINGS, WINDOW_UPDATE, PRIORITY, padding. Beside
   * them each request, body byte and piece of a response allows some. Default 32 KiB; then GOAWAY 11.
   */
  readonly maxControlBytes?: number;
  /** Whether CONNECT is let through. Default false: 405. */
  readonly allowConnect?: boolean;
  /** Whether WebSockets may be opened with extended CONNECT (RFC 8441). Default true. */
  readonly extendedConnect?: boolean;
}

/** The options with every default filled in. */
export type ResolvedHttp2ServerOptions = Required<Omit<Http2ServerOptions, "limits">> & {
  readonly limits: ParserLimits;
};

/**
 * Fills in the defaults.
 * @throws CirqueError `InvalidArgument` for a value that is not of its option's kind. RangeError for a limit below 1.
 */
export function resolveHttp2ServerOptions(options: Http2ServerOptions = {}): ResolvedHttp2ServerOptions {
  const { limits, ...others } = options;
  const resolved = withDefaults(DEFAULTS, others);
  // A wrong limit is to be found out here, and not with the first client.
  new RequestParser(limits);
  return { ...resolved, limits: { ...DEFAULT_LIMITS, ...definedOf(limits) } };
}

function definedOf(limits: Partial<ParserLimits> = {}): Partial<ParserLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
}

const DEFAULTS: ResolvedHttp2ServerOptions = {
  limits: DEFAULT_LIMITS,
  maxConcurrentStreams: 128,
  maxRequestsPerConnection: 10_000,
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 1024 * 1024,
  maxSessionMemoryBytes: 10_000_000,
  handshakeTimeoutMs: 10_000,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  minimumBodyRate: 100,
  writeTimeoutMs: 60_000,
  idleTimeoutMs: 75_000,
  maxResets: 100,
  resetWindowMs: 10_000,
  maxMalformedRequests: 32,
  maxInvalidFrames: 100,
  maxControlBytes: 32 * 1024,
  allowConnect: false,
  extendedConnect: true,
};
