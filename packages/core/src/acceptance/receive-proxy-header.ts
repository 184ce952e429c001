import { BlockList, isIP } from "node:net";
import { CirqueError } from "../errors/cirque-error.ts";
import { MalformedProxyHeader } from "../proxy-protocol/malformed-proxy-header.ts";
import type { ProxyHeader } from "../proxy-protocol/proxy-header.ts";
import { ProxyHeaderParser } from "../proxy-protocol/proxy-header-parser.ts";
import type { Arrival } from "./arrival.ts";
import { hostOf } from "./client-key.ts";
import { ConnectionRefused } from "./connection-refused.ts";

/** How a listener reads the PROXY protocol (`LST-29`), of both versions. */
export interface ProxyProtocolOptions {
  /**
   * The proxies in front, as addresses and networks: `["10.0.0.0/8", "2001:db8::/32"]`. Only they are believed. Whoever
   * connects to a Unix socket has been let in by its permissions, and is believed as well.
   */
  readonly from: readonly string[];
  /**
   * Whether each of their connections has to begin with a header. Default: `true`; one without is closed. With `false`
   * it is taken as it is; then a client behind such a proxy that passes bytes through could say who it is itself.
   */
  readonly required?: boolean | undefined;
  /**
   * What becomes of connections from elsewhere. `"direct"`: they are clients themselves; a header that they send is
   * not read, and what is expected behind it refuses it. `"refuse"`: they are closed. Default: `"direct"`.
   */
  readonly others?: "direct" | "refuse" | undefined;
  /** How long the header may take. Default: 5,000. */
  readonly headerTimeoutMs?: number | undefined;
}

/** Reads the header of the PROXY protocol in front of connections. */
export class ProxyHeaderReceiver {
  readonly #trusted: BlockList;
  readonly #required: boolean;
  readonly #others: "direct" | "refuse";
  readonly #timeoutMs: number;

  /** @throws CirqueError `InvalidArgument` for what is no address or network, and where there is none. */
  constructor({ from, required = true, others = "direct", headerTimeoutMs = 5_000 }: ProxyProtocolOptions) {
    if (typeof required !== "boolean") throw invalid("proxyProtocol.required has to be true or false");
    if (others !== "direct" && others !== "refuse")
      throw invalid('proxyProtocol.others has to be "direct" or "refuse"');
    if (!(headerTimeoutMs > 0))
      throw invalid(`proxyProtocol.headerTimeoutMs is ${headerTimeoutMs}; expected more than 0`);
    this.#trusted = networks(from);
    this.#required = required;
    this.#others = others;
    this.#timeoutMs = headerTimeoutMs;
  }

  /** @throws ConnectionRefused */
  async receive(arrival: Arrival): Promise<void> {
    // One that has left before it was accepted has no address any more, like those that come through a Unix socket.
    const { endpoint, peerAddress } = arrival.accepted;
    const host = hostOf(peerAddress);
    if (endpoint.kind === "tcp" && host === undefined)
      throw new ConnectionRefused("client-gone", "the client closed it");
    if (!this.#trusts(host)) {
      if (this.#others === "direct") return;
      throw new ConnectionRefused(
        "proxy-header-untrusted",
        "it comes from none of the proxies in `proxyProtocol.from`",
      );
    }
    const header = await arrival.within(this.#timeoutMs, "proxy-header", () => readHeader(arrival));
    if (header !== undefined) apply(header, arrival);
    else if (this.#required) throw malformed(new MalformedProxyHeader("absent", "it does not begin with one"));
  }

  #trusts(host: string | undefined): boolean {
    return host === undefined || this.#trusted.check(host, isIP(host) === 6 ? "ipv6" : "ipv4");
  }
}

/** The header; undefined when the connection begins with something else. What comes behind is given back. */
async function readHeader(arrival: Arrival): Promise<ProxyHeader | undefined> {
  const parser = new ProxyHeaderParser();
  while (parser.header === undefined && !parser.absent) {
    const bytes = await arrival.read();
    if (bytes === undefined) throw malformed(new MalformedProxyHeader("cut", "it ended in the middle of one"));
    try {
      parser.push(bytes);
    } catch (error) {
      throw error instanceof MalformedProxyHeader ? malformed(error) : error;
    }
  }
  arrival.unread(parser.surplus);
  return parser.header;
}

function apply(header: ProxyHeader, { accepted }: Arrival): void {
  if (header.transport === "datagram") {
    throw new ConnectionRefused("proxy-header-bad-family", "its PROXY header is one of datagrams");
  }
  accepted.proxyHeader = header;
  // What the proxy does not know, or says of a connection of its own, leaves the addresses of the socket.
  if (header.source !== undefined) accepted.clientAddress = header.source;
  if (header.destination !== undefined) accepted.serverAddress = header.destination;
}

function malformed({ reason, message }: MalformedProxyHeader): ConnectionRefused {
  return new ConnectionRefused(`proxy-header-${reason}`, `a header of the PROXY protocol was expected, and ${message}`);
}

function networks(from: readonly string[]): BlockList {
  const list = new BlockList();
  if (!Array.isArray(from) || from.length === 0) {
    throw invalid("proxyProtocol.from is missing: name the proxies that are believed, such as 10.0.0.0/8");
  }
  for (const text of from) {
    const [address = "", prefix, ...rest] = String(text).split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const longest = family === "ipv6" ? 128 : 32;
    const isPrefix = prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= longest);
    if (isIP(address) === 0 || !isPrefix || rest.length > 0) {
      throw invalid(
        `proxyProtocol.from: ${JSON.stringify(text)} is neither an address nor a network such as 10.0.0.0/8`,
      );
    }
    list.addSubnet(address, prefix === undefined ? longest : Number(prefix), family);
  }
  return list;
}

function invalid(message: string): CirqueError {
  return new CirqueError("InvalidArgument", message);
}
