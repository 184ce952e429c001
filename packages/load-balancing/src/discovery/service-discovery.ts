import type { Backend } from "../backend.ts";

/** What a {@link ServiceDiscovery} found. */
export interface Discovered<Ext = unknown> {
  /** The whole set. Of several backends with one address the last one counts. */
  readonly backends: Iterable<Backend<Ext>>;
  /** By address: whether the backend takes requests. One that is not named stays as it was; a new one is enabled. */
  readonly enabled?: ReadonlyMap<string, boolean>;
}

/** Where a set of backends comes from (`LB-03`). */
export interface ServiceDiscovery<Ext = unknown> {
  /**
   * Looks the backends up. A failure, and an empty set, change nothing: the last good set stays in use.
   *
   * @param signal Aborts at the deadline and when the server stops; the answer is of no interest any more then.
   */
  discover(signal: AbortSignal): Promise<Discovered<Ext>> | Discovered<Ext>;
  /** How long a look-up may take, in milliseconds. Default: 10,000. */
  readonly timeoutMs?: number;
}
