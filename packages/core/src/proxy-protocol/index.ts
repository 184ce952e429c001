export { encodeProxyHeader, type ProxyHeaderToSend } from "./encode-proxy-header.ts";
export { MalformedProxyHeader, type MalformedProxyHeaderReason } from "./malformed-proxy-header.ts";
export type * from "./proxy-header.ts";
export { MAX_PROXY_HEADER_BYTES, ProxyHeaderParser } from "./proxy-header-parser.ts";
