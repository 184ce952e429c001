export type { ClientHello, ClientHelloFault } from "./client-hello/client-hello.ts";
export { ClientHelloParser, type ClientHelloProgress } from "./client-hello/client-hello-parser.ts";
export type { ProxyTcp } from "./tcp/proxy-tcp.ts";
export type { TcpFailureReason } from "./tcp/tcp-failure.ts";
export { DEFAULT_TCP_PROXY_OPTIONS, TcpProxy, type TcpProxyOptions } from "./tcp/tcp-proxy.ts";
export { tcpProxyService } from "./tcp/tcp-proxy-service.ts";
export type { TcpSession } from "./tcp/tcp-session.ts";
