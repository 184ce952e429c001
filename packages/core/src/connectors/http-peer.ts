import { inspect } from "node:util";
import { CirqueError } from "../errors/cirque-error.ts";
import { Peer } from "./peer.ts";
import type { HttpVersions, PeerOptions } from "./peer-options.ts";

/** Where a request goes: an address, and how to talk to it (PEER-01, PEER-02, PEER-07). Cheap to make for each request. */
export class HttpPeer extends Peer {
  /** The versions of HTTP that may be spoken (PO-11). Without TLS the peer cannot choose: there, `"2-or-1"` is `"1"`. */
  readonly http: HttpVersions;
  #overHttp1: HttpPeer | undefined;

  /**
   * @throws CirqueError `InvalidArgument` when the address cannot be read, or an option is not of its kind.
   */
  constructor(address: string, options?: PeerOptions) {
    super(address, options);
    const { http, tls } = this.options;
    this.http = http === "2-or-1" && !tls ? "1" : http;
    const alpn = options?.alpn;
    if (alpn === undefined) return;
    const right = http === "1" ? alpn.every((protocol) => protocol === "http/1.1") : sameList(alpn, ALPN[http]);
    if (right) return;
    throw CirqueError.internal(
      "InvalidArgument",
      `alpn is ${inspect(alpn)}; with http: "${http}", ${inspect(ALPN[http])} is offered: say http: "2" or "2-or-1" for HTTP/2`,
      { context: { option: "alpn" } },
    );
  }

  override get alpn(): readonly string[] {
    return this.options.alpn ?? ALPN[this.options.http];
  }

  /** The same peer, spoken to in HTTP/1.1. */
  get overHttp1(): HttpPeer {
    if (this.http === "1") return this;
    this.#overHttp1 ??= new HttpPeer(this.address, { ...this.options, http: "1", alpn: ALPN["1"] });
    return this.#overHttp1;
  }

  /** The scheme of requests to it. */
  get scheme(): "http" | "https" {
    return this.options.tls ? "https" : "http";
  }

  override toString(): string {
    return `${this.scheme}://${this.address}`;
  }
}

const ALPN: Readonly<Record<HttpVersions, readonly string[]>> = {
  "1": ["http/1.1"],
  "2": ["h2"],
  "2-or-1": ["h2", "http/1.1"],
};

function sameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}
