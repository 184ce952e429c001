export { type ConnectOptions, connect } from "./connect.ts";
export type { SourceAddresses } from "./connect-attempt.ts";
export { type ConnectFacts, type ConnectTiming, connectFactsOf } from "./connect-facts.ts";
export {
  ConnectionPool,
  type DropReason,
  type Poolable,
  type PoolLimits,
  type PoolObserver,
} from "./connection-pool.ts";
export type { PoolOptions } from "./connection-source.ts";
export type { DialOptions } from "./dial.ts";
export * from "./dns/index.ts";
export { HttpConnector, type HttpConnectorOptions } from "./http-connector.ts";
export { HttpPeer } from "./http-peer.ts";
export type { HttpConnection } from "./http2-connections.ts";
export { keylogWriter } from "./keylog.ts";
export type { NextHop } from "./next-hop.ts";
export { Peer } from "./peer.ts";
export {
  type ConnectionTracer,
  DEFAULT_PEER_OPTIONS,
  type HttpVersions,
  type PeerOptions,
  type ResolvedPeerOptions,
} from "./peer-options.ts";
export type { SecureOptions } from "./secure-socket.ts";
export { TransportConnector, type TransportConnectorOptions } from "./transport-connector.ts";
export { readTrustRoots } from "./trust-roots.ts";
