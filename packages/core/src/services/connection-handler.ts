import type { Socket } from "node:net";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { ReloadAnswer, ServiceContext } from "./service.ts";

/** What a listening service does with the connections it accepts: the protocol, such as HTTP. */
export interface ConnectionHandler {
  /**
   * The protocols that it speaks over TLS, the preferred first (`LST-22`): what listeners offer whose settings do not say
   * it. Default: `["http/1.1"]`. It finds what was agreed on in `accepted.tls.alpnProtocol`.
   */
  readonly alpn?: readonly string[];
  /** Called once, before the first connection. A rejection makes the start of the service fail. */
  start?(context: ServiceContext): void | Promise<void>;
  /**
   * Takes over an accepted socket: paused, without delay of small writes, and left half open when the client ends its
   * side. From here on the handler owns it, its `error` event included. It must not throw; if it does, that one
   * connection is destroyed, logged and counted.
   */
  handle(socket: Socket, accepted: AcceptedConnection): void;
  /** Looks at new settings, as `Service.reload` does. */
  reload?(configuration: ServerConfiguration): ReloadAnswer | Promise<ReloadAnswer>;
  /**
   * Called once, when nothing is accepted any more: ends what is idle, finishes what is in flight, and resolves when no
   * connection is left. When `force` aborts, destroys those that are left.
   */
  drain(force: AbortSignal): Promise<void>;
}
