import type { SocketKind } from "../threads/listening-sockets.ts";

/** A place where connections are accepted. */
export interface Endpoint {
  /** As it was configured: `127.0.0.1:8080`, `[::]:0`, `unix:/run/x.sock`. */
  readonly address: string;
  readonly kind: SocketKind;
}
