export { type ConnectOptions, connect } from "./connect.ts";
export { ConnectionPool, type Poolable, type PoolLimits } from "./connection-pool.ts";
export { HttpConnector, type HttpConnectorOptions } from "./http-connector.ts";
export { DEFAULT_PEER_OPTIONS, HttpPeer, type PeerOptions, type ResolvedPeerOptions } from "./http-peer.ts";
export { keylogWriter } from "./keylog.ts";
export { readTrustRoots } from "./trust-roots.ts";
