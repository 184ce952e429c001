import { Backend } from "../backend.ts";
import type { Discovered, ServiceDiscovery } from "./service-discovery.ts";

/**
 * A fixed set of backends (`LB-04`). Host names stay names and are resolved at each connection, so a change in the DNS
 * is followed without a restart.
 */
export class StaticDiscovery<Ext = unknown> implements ServiceDiscovery<Ext> {
  readonly #discovered: Discovered<Ext>;

  /**
   * @param backends Addresses (of weight 1) or backends.
   * @throws CirqueError `InvalidArgument` when an address is malformed.
   */
  constructor(backends: Iterable<string | Backend<Ext>>) {
    const list = Array.from(backends, (each) => (each instanceof Backend ? each : new Backend<Ext>(each)));
    this.#discovered = Object.freeze({ backends: Object.freeze(list) });
  }

  discover(): Discovered<Ext> {
    return this.#discovered;
  }
}
