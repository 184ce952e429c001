import { type ParserLimits, RequestParser } from "@cirque/http";
import { withDefaults } from "../options/with-defaults.ts";

/** Limits and time-outs of HTTP/1.1 connections with clients. Milliseconds and bytes; `Infinity` switches one off. */
export interface Http1ServerOptions {
  /** What a message may be at most. */
  readonly limits?: Partial<ParserLimits>;
  /** From the connection to the first byte of a request. Default 10 s. */
  readonly firstByteTimeoutMs?: number;
  /** Silence in the middle of a head. Default 10 s; then 408. */
  readonly headTimeoutMs?: number;
  /** A whole head, from its first byte. Default 20 s; then 408. */
  readonly headTotalTimeoutMs?: number;
  /** Silence in the middle of a request body. Default 30 s; then 408. */
  readonly bodyTimeoutMs?: number;
  /** The rate, in bytes a second, that a request body must keep once `bodyTimeoutMs` has passed. Default 100; then 408. */
  readonly minimumBodyRate?: number;
  /** A client that takes nothing of a response. Default 60 s; then the connection is cut. */
  readonly writeTimeoutMs?: number;
  /**
   * Idle between requests. Default 75 s. A client that sends `Keep-Alive: timeout=N` is given a little more than N, so
   * that it closes first and never sends into a closing connection; ten minutes at most.
   */
  readonly keepAliveTimeoutMs?: number;
  /**
   * A server that stops: how long after its beginning, or after its last response, a connection may still send a request,
   * which is answered as its last one. Closing earlier would lose a request that is on its way. Default 1 s.
   */
  readonly lastRequestTimeoutMs?: number;
  /** Requests on one connection; the last one's response says `Connection: close` (H1S-07). Default 10,000. */
  readonly maxRequestsPerConnection?: number;
  /** Whether CONNECT is let through (H1S-17). Default false: 405. */
  readonly allowConnect?: boolean;
  /** How much of an unread request body is read and dropped to keep the connection (H1S-28). Default 64 KiB. */
  readonly drainBytes?: number;
  /** How long that may take (H1S-27). Default 5 s. */
  readonly drainTimeoutMs?: number;
  /** Whether a client that ends its side is taken to have left (H1S-30). Default true. */
  readonly abortOnClose?: boolean;
}

/** The options with every default filled in. */
export type ResolvedHttp1ServerOptions = Required<Http1ServerOptions>;

/**
 * Fills in the defaults.
 * @throws CirqueError `InvalidArgument` for a value that is not of its option's kind. RangeError for a limit below 1.
 */
export function resolveServerOptions(options: Http1ServerOptions = {}): ResolvedHttp1ServerOptions {
  const resolved = withDefaults(DEFAULTS, options);
  // A wrong limit is to be found out here, and not with the first client.
  new RequestParser(resolved.limits);
  return resolved;
}

const DEFAULTS: ResolvedHttp1ServerOptions = {
  limits: {},
  firstByteTimeoutMs: 10_000,
  headTimeoutMs: 10_000,
  headTotalTimeoutMs: 20_000,
  bodyTimeoutMs: 30_000,
  minimumBodyRate: 100,
  writeTimeoutMs: 60_000,
  keepAliveTimeoutMs: 75_000,
  lastRequestTimeoutMs: 1_000,
  maxRequestsPerConnection: 10_000,
  allowConnect: false,
  drainBytes: 64 * 1024,
  drainTimeoutMs: 5_000,
  abortOnClose: true,
};
