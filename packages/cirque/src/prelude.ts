/** The names that nearly every proxy needs. */
export { backgroundService, CirqueError, HttpPeer, metricsService, Server } from "@cirque/core";
export { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
export { LoadBalancer, RoundRobin, TcpHealthCheck } from "@cirque/load-balancing";
export { type BodyChunk, httpProxyService, type ProxyHttp, Session } from "@cirque/proxy";
