import { inspect } from "node:util";
import { CirqueError } from "../errors/cirque-error.ts";
import { Peer } from "./peer.ts";
import type { PeerOptions } from "./peer-options.ts";

/** Where a request goes: an address, and how to talk to it (PEER-01, PEER-02, PEER-07). Cheap to make for each request. */
export class HttpPeer extends Peer {
  /**
   * @throws CirqueError `InvalidArgument` when the address cannot be read, or an option is not of its kind.
   */
  constructor(address: string, options?: PeerOptions) {
    super(address, options);
    const alpn = options?.alpn;
    if (alpn === undefined || alpn.every((protocol) => protocol === "http/1.1")) return;
    throw CirqueError.internal(
      "InvalidArgument",
      `alpn is ${inspect(alpn)}; requests are sent with HTTP/1.1 alone: expected ["http/1.1"], or [] to offer none`,
      { context: { option: "alpn" } },
    );
  }

  override get alpn(): readonly string[] {
    return this.options.alpn ?? HTTP_1;
  }

  /** The scheme of requests to it. */
  get scheme(): "http" | "https" {
    return this.options.tls ? "https" : "http";
  }

  override toString(): string {
    return `${this.scheme}://${this.address}`;
  }
}

const HTTP_1: readonly string[] = ["http/1.1"];
