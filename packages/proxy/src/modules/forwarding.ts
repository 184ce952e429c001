import { CirqueError } from "@cirque/core";
import { type HeaderMap, isToken, type RequestHead, type ResponseHead } from "@cirque/http";
import type { Session } from "../session.ts";
import { AddressList, ipAddressOf } from "./address-list.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";

/**
 * What becomes of the forwarding fields that a client sends itself. `"replace"`: they are dropped, and those of this proxy
 * are set. `"append"`: lists grow by what this proxy knows; host, protocol and port stay as they came. `"drop"`: they are
 * dropped, and nothing is said.
 */
export type ReceivedForwarding = "replace" | "append" | "drop";

/** Settings of {@link forwardingHeaders}. */
export interface ForwardingOptions extends ModuleOptions {
  /** Whether `X-Forwarded-For`, `-Host`, `-Proto` and `-Port` are sent. Default true. */
  readonly xForwarded?: boolean;
  /** Whether `Forwarded` (RFC 7239) is sent. Default false. */
  readonly forwarded?: boolean;
  /** What becomes of fields that clients send, other than those of `trustedProxies`. Default `"replace"`. */
  readonly received?: ReceivedForwarding;
  /** Addresses and networks of proxies in front of this one: what they say is believed, and appended to. Default: none. */
  readonly trustedProxies?: readonly string[];
  /**
   * A name for this proxy that no other on the way has: then `Via` is sent both ways (RFC 9110, 7.6.3), and a request that
   * has passed here before is answered with 508 (RFC 5842, 7.2). Default: neither.
   */
  readonly via?: string;
}

/**
 * Tells origins who asks: the client's address, and host, protocol and port that it used (TR-06).
 *
 * @throws CirqueError `InvalidArgument` for addresses or a name that are none.
 * @example
 * const modules = [forwardingHeaders({ trustedProxies: ["10.0.0.0/8"], via: "edge-1" })];
 */
export function forwardingHeaders(options: ForwardingOptions = {}): HttpModuleFactory<HttpModule> {
  const { name = "forwarding headers", order, received = "replace", via } = options;
  const { xForwarded = true, forwarded = false } = options;
  const trusted = new AddressList(options.trustedProxies ?? []);
  if (via !== undefined && !isToken(via)) {
    throw CirqueError.internal("InvalidArgument", `${JSON.stringify(via)} is not a name for Via: a token is expected`);
  }
  const module: HttpModule = {
    requestFilter(session, request) {
      const address = ipAddressOf(session.clientAddress);
      const mode = address !== undefined && trusted.has(address) ? "append" : received;
      const { headers } = request;
      if (mode !== "append") for (const field of FIELDS) headers.delete(field);
      if (mode !== "drop") {
        const hop = hopOf(session, request, address);
        if (xForwarded) addXForwarded(headers, hop);
        if (forwarded) appendToList(headers, "Forwarded", forwardedElement(hop));
      }
      if (via === undefined) return undefined;
      if (names(headers.get("via"), via)) return new Response("508 Loop Detected\n", { status: 508 });
      appendToList(headers, "Via", `${request.version} ${via}`);
      return undefined;
    },
  };
  if (via !== undefined) {
    module.responseFilter = (_session: Session, response: ResponseHead) =>
      appendToList(response.headers, "Via", `${response.version} ${via}`);
  }
  return { name, ...(order !== undefined && { order }), create: () => module };
}

/**
 * The address of the client that trusted proxies in front speak for: the last of `X-Forwarded-For` that is none of
 * theirs; the connection's own when that is not theirs, or when what they say is no address. Undefined for a client
 * without an IP address. Ask for it in `earlyRequestFilter`, or in a module of a higher order than forwarding headers.
 */
export function forwardedClientAddress(session: Session, trustedProxies: AddressList): string | undefined {
  let address = ipAddressOf(session.clientAddress);
  if (address === undefined || !trustedProxies.has(address)) return address;
  const hops = session.request.headers.get("x-forwarded-for")?.split(",") ?? [];
  for (const hop of hops.reverse()) {
    const said = ipAddressOf(hop.trim()) ?? ipAddressOf(`[${hop.trim()}]`);
    if (said === undefined) return address;
    address = said;
    if (!trustedProxies.has(address)) return address;
  }
  return address;
}

/** What this proxy knows of the request's last hop. */
interface Hop {
  readonly address: string | undefined;
  readonly host: string | undefined;
  readonly protocol: "http" | "https";
  readonly port: string | undefined;
}

function hopOf(session: Session, request: RequestHead, address: string | undefined): Hop {
  const [, port] = /:(\d+)$/.exec(session.serverAddress) ?? [];
  return { address, host: request.authority, protocol: session.tls === undefined ? "http" : "https", port };
}

function addXForwarded(headers: HeaderMap, { address, host, protocol, port }: Hop): void {
  if (address !== undefined) appendToList(headers, "X-Forwarded-For", address);
  if (host !== undefined && !headers.has("x-forwarded-host")) headers.append("X-Forwarded-Host", host);
  if (!headers.has("x-forwarded-proto")) headers.append("X-Forwarded-Proto", protocol);
  if (port !== undefined && !headers.has("x-forwarded-port")) headers.append("X-Forwarded-Port", port);
}

/** RFC 7239, 4: an address of IPv6 stands in brackets and quotes, one that is not known is `unknown`. */
function forwardedElement({ address, host, protocol }: Hop): string {
  const node = address === undefined ? "unknown" : address.includes(":") ? `"[${address}]"` : address;
  const parts = [`for=${node}`];
  if (host !== undefined) parts.push(`host=${isToken(host) ? host : `"${host.replace(/["\\]/g, "\\$&")}"`}`);
  parts.push(`proto=${protocol}`);
  return parts.join(";");
}

/** One line for all, as some readers look at one line only. */
function appendToList(headers: HeaderMap, name: string, value: string): void {
  const former = headers.get(name);
  if (former === undefined || former === "") headers.set(name, value);
  else headers.set(name, `${former}, ${value}`);
}

/** Whether a `Via` names `via` as one that it has passed. Comments, which anybody may write, do not count. */
function names(value: string | undefined, via: string): boolean {
  if (value === undefined) return false;
  const hops = value.replace(/\([^()]*\)/g, "").split(",");
  return hops.some(
    (hop) =>
      hop
        .trim()
        .split(/[ \t]+/)[1]
        ?.toLowerCase() === via.toLowerCase(),
  );
}

const FIELDS: readonly string[] = [
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-port",
];
