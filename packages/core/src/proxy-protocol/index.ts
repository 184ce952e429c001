export { encodeProxyHeader, type ProxyHeaderToSend } from "./encode-proxy-header.ts";
export type * from "./proxy-header.ts";
