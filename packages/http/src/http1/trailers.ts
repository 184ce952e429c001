import type { Field } from "../field.ts";

/**
 * Whether a field may come in a trailer section. Those that frame the message, route it, or must be known before the
 * body are dropped (RFC 9110, 6.5.1): a hop that merged them into the head would read another message.
 */
export function isTrailerField(field: Field): boolean {
  return !NOT_IN_TRAILERS.has(field.name.toLowerCase());
}

const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  "transfer-encoding",
  "content-length",
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "http2-settings",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "cache-control",
  "max-forwards",
  "pragma",
  "range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "proxy-authentication-info",
  "www-authenticate",
  "cookie",
  "set-cookie",
  "content-encoding",
  "content-type",
  "content-range",
  "age",
  "date",
  "expires",
  "location",
  "retry-after",
  "vary",
]);
