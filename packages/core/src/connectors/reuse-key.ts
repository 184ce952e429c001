import type { Peer } from "./peer.ts";

/**
 * The text under which connections to a peer are kept (POOL-01, POOL-02). As JSON, so that no two lists of parts read the
 * same. What is not in it: time-outs, limits, probes, and hooks, which change nothing of what a connection means.
 */
export function reuseKeyOf(peer: Peer): string {
  const { options } = peer;
  const { localAddress, localPort, localPortRange, groupKey, nextHop, connect, dscp, proxyProtocol } = options;
  const fromSomewhere = localAddress !== undefined || localPort !== undefined || localPortRange !== undefined;
  // In TLS, `alpn` tells.
  const knownHttp2 = options.http === "2" && !options.tls;
  const plain =
    !options.tls &&
    !knownHttp2 &&
    !fromSomewhere &&
    groupKey === undefined &&
    nextHop === undefined &&
    connect === undefined;
  if (plain && dscp === undefined && proxyProtocol === undefined) return peer.address;
  return JSON.stringify([
    peer.address,
    groupKey,
    knownHttp2,
    fromSomewhere && [localAddress, localPort, localPortRange, options.localAddressFallback],
    dscp,
    nextHop && [
      nextHop.protocol,
      peer.nextHopPeer?.reuseKey,
      nextHop.headers && Object.entries(nextHop.headers),
      nextHop.credentials?.username,
      numberOf(nextHop.credentials?.password),
    ],
    connect && identityOf(connect),
    peer.proxyHeader?.toString("latin1"),
    options.tls && [
      peer.sni,
      options.verifyCert,
      options.verifyHostname,
      options.alternativeName,
      numberOf(options.ca),
      numberOf(options.clientCertificate?.cert),
      numberOf(options.clientCertificate?.key),
      peer.alpn,
      options.curves,
    ],
  ]);
}

let count = 0;
const identities = new WeakMap<object, number>();

function identityOf(object: object): number {
  let identity = identities.get(object);
  if (identity === undefined) {
    identity = count++;
    identities.set(object, identity);
  }
  return identity;
}

/**
 * Certificates and keys seen before, each with its number: they are long, and the key is made for each request. A number
 * is never given twice: a text that comes back after it was forgotten shares no connection, and no harm is done.
 */
const texts = new Map<string, number>();
const MAX_TEXTS = 1024;

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size >= MAX_TEXTS) texts.clear();
  texts.set(text, count);
  return count++;
}
