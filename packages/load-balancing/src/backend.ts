import { CirqueError, formatSocketAddress, parseSocketAddress } from "@cirque/core";

/** What a {@link Backend} may have beside its address. */
export interface BackendOptions<Ext = unknown> {
  /**
   * Share of the requests, relative to the other backends: a whole number from 0 to 65,535. Default: 1. A backend of
   * weight 0 gets no requests, but its health is checked.
   */
  readonly weight?: number;
  /** Data of the user, such as a server name for TLS. Default: none. */
  readonly ext?: Ext;
}

/** A server to send requests to (`LB-01`). Backends are immutable, and known by their address. */
export class Backend<Ext = unknown> {
  /**
   * In one spelling: `127.0.0.1:80`, `[::1]:80`, `name:80` or `unix:/path`. A name is resolved when it is connected to.
   */
  readonly address: string;
  /** Share of the requests, relative to the other backends. */
  readonly weight: number;
  /** Data of the user. */
  readonly ext: Ext | undefined;

  /** @throws CirqueError `InvalidArgument` when the address or the weight is malformed. */
  constructor(address: string, options: BackendOptions<Ext> = {}) {
    this.address = formatSocketAddress(parseSocketAddress(address));
    this.weight = checkedWeight(address, options.weight ?? 1);
    this.ext = options.ext;
    Object.freeze(this);
  }

  /** Whether both have the same address and weight; `ext` is not looked at. */
  equals(other: Backend): boolean {
    return this.address === other.address && this.weight === other.weight;
  }
}

const largestWeight = 65_535;

function checkedWeight(address: string, weight: number): number {
  if (Number.isInteger(weight) && weight >= 0 && weight <= largestWeight) return weight;
  throw new CirqueError(
    "InvalidArgument",
    `the weight of backend ${address} has to be a whole number from 0 to ${largestWeight}, and is ${String(weight)}`,
    { context: { address, weight } },
  );
}
