import net from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { Cancellation } from "./cancellation.ts";
import { connectError } from "./connect-error.ts";
import { type ConnectFacts, type ConnectTiming, rememberFacts } from "./connect-facts.ts";
import { ConnectResponseReader, connectRequest } from "./connect-tunnel.ts";
import { type DialOptions, dial } from "./dial.ts";
import { type DnsCache, sharedDnsCache } from "./dns/dns-cache.ts";
import { exchangeBytes } from "./exchange-bytes.ts";
import { inTime } from "./in-time.ts";
import type { NextHop } from "./next-hop.ts";
import { checkTlsName, type Peer } from "./peer.ts";
import { type SecureOptions, secureSocket } from "./secure-socket.ts";
import { Socks5Reader, socks5Greeting } from "./socks5.ts";
import { traceConnection } from "./trace-connection.ts";

/** What holds for all connections of a connector. */
export interface ConnectOptions extends DialOptions, SecureOptions {
  /** Who finds the addresses of names (CONN-07). Default: one `DnsCache` that all of the thread share. */
  readonly dns?: DnsCache;
}

/**
 * Connects to a peer: finds the addresses of its name, connects to the first that answers, makes the tunnel through the next
 * hop, and does the TLS handshake, as far as the peer wants these.
 *
 * The socket stays half open when the other end ends. Nothing has been read from it: give it to a `Connection`, or use it
 * as any other. What is known of its making tells `connectFactsOf`.
 * @param signal Gives the attempt up.
 * @throws CirqueError, upstream, with the code of what went wrong (CONN-03); nothing was sent to the peer. The signal's
 * reason, if that is a CirqueError, when it is aborted.
 */
export function connect(peer: Peer, options: ConnectOptions = {}, signal?: AbortSignal): Promise<net.Socket> {
  return connectSince(performance.now(), peer, options, signal);
}

/** The same, where the caller had to wait before: `totalConnectionTimeoutMs` runs from `startedAt`. */
export async function connectSince(
  startedAt: number,
  peer: Peer,
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<net.Socket> {
  return (await established(peer, options, { signal, startedAt, endsAt: Infinity, wrapped: false })).socket;
}

/** What holds for one connection, the hops on the way included. */
interface Circumstances {
  readonly signal: AbortSignal | undefined;
  readonly startedAt: number;
  /** When it has to be usable, for those who wait for it to go on from there. */
  readonly endsAt: number;
  /** Whether TLS is going to be spoken over it. */
  readonly wrapped: boolean;
}

/** A connection, and how it came about. */
interface Established {
  /** A duplex stream of the user's own has not all of a socket's methods; those that have no meaning for it are not called. */
  socket: net.Socket;
  resolvedName: string | undefined;
  readonly timing: Writable<ConnectTiming>;
  nextHop?: NonNullable<ConnectFacts["nextHop"]>;
  tls?: ConnectFacts["tls"];
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

async function established(peer: Peer, options: ConnectOptions, outer: Circumstances): Promise<Established> {
  checkTlsName(peer);
  const { nextHopPeer, proxyHeader } = peer;
  const { tls, nextHop } = peer.options;
  const endsAt = Math.min(outer.endsAt, outer.startedAt + peer.options.totalConnectionTimeoutMs);
  const how = { ...outer, endsAt };
  const wrapped = outer.wrapped || tls;
  const made =
    nextHop === undefined || nextHopPeer === undefined
      ? await transport(peer, options, { ...how, wrapped })
      : await throughNextHop(peer, nextHop, await established(nextHopPeer, options, { ...how, wrapped }), how);
  // What breaks here is found out by the step that follows, or by whoever uses the connection first.
  if (proxyHeader !== undefined) made.socket.write(proxyHeader);
  if (tls) {
    const startedAt = performance.now();
    made.socket = await step(peer, how, "TLSHandshakeTimedout", (cancellation) =>
      secureSocket(made.socket, peer, options, cancellation),
    );
    made.timing.tlsMs = performance.now() - startedAt;
    made.tls = tlsFacts(peer, made.socket as TLSSocket);
  }
  made.timing.totalMs = performance.now() - how.startedAt;
  const facts = factsOf(peer, made);
  rememberFacts(made.socket, facts);
  if (peer.options.tracer !== undefined) traceConnection(made.socket, peer.options.tracer, facts);
  return made;
}

/** The first leg: a TCP or Unix socket, or what the user's own function makes. */
async function transport(peer: Peer, options: ConnectOptions, how: Circumstances): Promise<Established> {
  const startedAt = performance.now();
  let dnsMs: number | undefined;
  let resolvedName: string | undefined;
  const address = peer.socketAddress;
  const socket = await step(peer, how, "ConnectTimedout", async (cancellation) => {
    try {
      if (peer.options.connect !== undefined)
        return checkedStream(await peer.options.connect(peer, cancellation.signal));
      if ("path" in address) return await dial(peer, undefined, how.wrapped, options, cancellation);
      const family = net.isIP(address.host);
      if (family !== 0) {
        const target = { address: address.host, family: family === 6 ? 6 : 4 } as const;
        return await dial(peer, [target], how.wrapped, options, cancellation);
      }
      resolvedName = address.host.toLowerCase();
      // A wait that is given up is not waited for by `inTime` either.
      const known = (options.dns ?? sharedDnsCache()).lookup(resolvedName);
      const addresses = known instanceof Promise ? await known : known;
      dnsMs = performance.now() - startedAt;
      return await dial(peer, addresses, how.wrapped, options, cancellation);
    } catch (error) {
      throw isCirqueError(error) ? error : connectError(peer, error as Error);
    }
  });
  const transportMs = performance.now() - startedAt - (dnsMs ?? 0);
  return { socket, resolvedName, timing: { dnsMs, transportMs, nextHopMs: undefined, tlsMs: undefined, totalMs: 0 } };
}

function checkedStream(stream: Duplex): net.Socket {
  const isStream = typeof stream?.write === "function" && typeof stream.destroy === "function";
  if (!isStream) throw new TypeError("the function `connect` of the peer returned no duplex stream");
  // Whatever is called on it beyond the methods of a duplex stream is asked for first.
  return stream as net.Socket;
}

/** The tunnel to the peer through a connection to the next hop. */
async function throughNextHop(
  peer: Peer,
  nextHop: NextHop,
  hop: Established,
  how: Circumstances,
): Promise<Established> {
  const startedAt = performance.now();
  const response = await step(peer, how, "ConnectTimedout", async (cancellation) => {
    try {
      return await askForTunnel(peer, nextHop, hop.socket, cancellation);
    } catch (error) {
      hop.socket.destroy();
      if (isCirqueError(error)) throw error;
      const { message } = error as Error;
      throw CirqueError.upstream(
        "ConnectProxyFailure",
        `the proxy ${peer.nextHopPeer} made no tunnel to ${peer}: ${message}`,
        {
          cause: error,
          retry: true,
        },
      );
    }
  });
  const { timing } = hop;
  timing.nextHopMs = (timing.nextHopMs ?? 0) + (timing.tlsMs ?? 0) + performance.now() - startedAt;
  timing.tlsMs = undefined;
  // That was agreed on with the hop.
  hop.tls = undefined;
  hop.nextHop = response;
  return hop;
}

async function askForTunnel(
  peer: Peer,
  nextHop: NextHop,
  socket: Duplex,
  cancellation: Cancellation,
): Promise<NonNullable<ConnectFacts["nextHop"]>> {
  const target = peer.socketAddress;
  const proxy = String(peer.nextHopPeer);
  if ("path" in target) {
    throw CirqueError.internal("InvalidArgument", `${peer} is a Unix socket, which no proxy can connect to`);
  }
  if (nextHop.protocol === "socks5") {
    await exchangeBytes(socket, socks5Greeting(nextHop), new Socks5Reader(proxy, target, nextHop), cancellation);
    return { response: undefined, userData: undefined };
  }
  const response = await exchangeBytes(
    socket,
    connectRequest(target, nextHop),
    new ConnectResponseReader(proxy),
    cancellation,
  );
  return { response, userData: callHook(peer, "nextHop.onResponse", () => nextHop.onResponse?.(response)) };
}

/** One step of connecting, with the time that it may take. */
function step<T>(
  peer: Peer,
  how: Circumstances,
  code: "ConnectTimedout" | "TLSHandshakeTimedout",
  run: (cancellation: Cancellation) => Promise<T>,
): Promise<T> {
  const ms = Math.max(1, Math.min(peer.options.connectionTimeoutMs, how.endsAt - performance.now()));
  const late = (): CirqueError =>
    CirqueError.upstream(code, `${peer} was not there after ${Math.round(ms)} ms`, {
      retry: true,
      context: { peer: peer.address },
    });
  return inTime(ms, late, how.signal, (reason) => givenUp(peer, reason), run);
}

function givenUp(peer: Peer, reason: unknown): CirqueError {
  if (isCirqueError(reason)) return reason;
  return CirqueError.internal("ConnectError", `connecting to ${peer} was given up`, { cause: reason });
}

function factsOf(peer: Peer, { socket, resolvedName, timing, nextHop, tls }: Established): ConnectFacts {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  return {
    peer: peer.address,
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
    resolvedName,
    timing: { ...timing },
    nextHop,
    tls,
  };
}

function tlsFacts(peer: Peer, socket: TLSSocket): ConnectFacts["tls"] {
  try {
    return {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher().standardName,
      alpn: socket.alpnProtocol,
      userData: callHook(peer, "onTlsHandshake", () => peer.options.onTlsHandshake?.(socket)),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** A hook that throws fails the one connection that it was called for. */
function callHook(peer: Peer, name: string, hook: () => unknown): unknown {
  try {
    return hook();
  } catch (cause) {
    if (isCirqueError(cause)) throw cause;
    throw CirqueError.internal("InternalError", `the hook ${name} of ${peer} failed: ${String(cause)}`, { cause });
  }
}
