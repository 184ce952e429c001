import type { CirqueError, Peer } from "@cirque/core";
import type { TcpSession } from "./tcp-session.ts";

/**
 * What a TCP proxy does with connections. Each callback but `upstreamPeer` may be left out. They may be sync or async,
 * and stand in the order in which they are called. What one throws ends that one connection with a reset.
 *
 * `Ctx` is the state of one connection: made by `newCtx`, given to every other callback, gone with the connection.
 */
export interface ProxyTcp<Ctx = void> {
  /** Makes the state of a connection. */
  newCtx?(): Ctx;
  /**
   * Where the connection goes; `undefined` when there is nowhere, and then it is reset and counted. Called again for each
   * attempt: `session.attempts` says how many there were. With `readClientHello`, `session.clientHello` is there.
   */
  upstreamPeer(session: TcpSession, ctx: Ctx): Peer | undefined | Promise<Peer | undefined>;
  /**
   * The connection to the peer could not be made; nothing was sent. Set `error.retry` to say whether to try again, on what
   * `upstreamPeer` says next; it is true for most failures.
   */
  failToConnect?(session: TcpSession, peer: Peer, ctx: Ctx, error: CirqueError): CirqueError;
  /** The connection to the peer is there, and nothing was sent yet. */
  connected?(session: TcpSession, peer: Peer, ctx: Ctx): void | Promise<void>;
  /** The connection is over, well or with an error: called exactly once for each. */
  logging?(session: TcpSession, error: CirqueError | undefined, ctx: Ctx): void | Promise<void>;
}
