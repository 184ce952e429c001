import net from "node:net";
import tls from "node:tls";
import { connectReadOptions } from "../connection/connection.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { connectError, tlsError } from "./connect-error.ts";
import { checkTlsName, type HttpPeer } from "./http-peer.ts";

/** What holds for all connections of a connector. */
export interface ConnectOptions {
  /** Trust roots in PEM, in place of the built-in ones (CFG-12). */
  readonly ca?: string | undefined;
  /** Addresses to connect from, by the family of the peer, for a name IPv4 first; one at random (CFG-15, CFG-16). */
  readonly bindToIpv4?: readonly string[];
  readonly bindToIpv6?: readonly string[];
  /** Takes TLS secrets, a line each, for debugging (CFG-20). */
  readonly onKeylog?: ((line: Buffer) => void) | undefined;
}

/**
 * Connects to a peer, and does the TLS handshake if it wants one.
 * @throws CirqueError, upstream, with the code of what went wrong (CONN-03).
 */
export async function connect(peer: HttpPeer, options: ConnectOptions = {}): Promise<net.Socket> {
  checkTlsName(peer);
  const { connectionTimeoutMs, totalConnectionTimeoutMs } = peer.options;
  const startedAt = performance.now();
  const timeoutMs = Math.min(connectionTimeoutMs, totalConnectionTimeoutMs);
  const socket = await opened(
    started(peer, undefined, () => tcpSocket(peer, options)),
    "connect",
    peer,
    timeoutMs,
  );
  if (!peer.options.tls) return socket;
  const left = totalConnectionTimeoutMs - (performance.now() - startedAt);
  const secured = started(peer, socket, () => tlsSocket(socket, peer, options));
  return opened(secured, "secureConnect", peer, Math.max(1, Math.min(connectionTimeoutMs, left)));
}

/** What Node throws at once, it throws because of an option: a source address or a certificate that is none. */
function started<T extends net.Socket>(peer: HttpPeer, transport: net.Socket | undefined, start: () => T): T {
  try {
    return start();
  } catch (cause) {
    transport?.destroy();
    const message = cause instanceof Error ? cause.message : String(cause);
    throw CirqueError.internal("InvalidArgument", `${peer} has an option that cannot be used: ${message}`, { cause });
  }
}

function tcpSocket(peer: HttpPeer, options: ConnectOptions): net.Socket {
  const address = peer.socketAddress;
  // A TLS socket reads its transport by itself.
  const common = { allowHalfOpen: true, ...(!peer.options.tls && { onread: connectReadOptions }) };
  if ("path" in address) return net.connect({ path: address.path, ...common });
  const localAddress = peer.options.localAddress ?? sourceAddress(address.host, options);
  const { localPort, tcpKeepaliveMs } = peer.options;
  return net.connect({
    host: address.host,
    port: address.port,
    noDelay: true,
    ...common,
    // Of a name's addresses, only those of the same family can be reached from it.
    ...(localAddress !== undefined && { localAddress, family: net.isIP(localAddress) }),
    ...(localPort !== undefined && { localPort }),
    ...(tcpKeepaliveMs !== undefined && { keepAlive: true, keepAliveInitialDelay: tcpKeepaliveMs }),
  });
}

function tlsSocket(socket: net.Socket, peer: HttpPeer, options: ConnectOptions): tls.TLSSocket {
  const { verifyCert, verifyHostname, alternativeName, clientCertificate } = peer.options;
  const ca = peer.options.ca ?? options.ca;
  const host = "host" in peer.socketAddress ? peer.socketAddress.host : "";
  const secured = tls.connect({
    socket,
    // Without SNI, the address itself is what the certificate has to be for.
    host: peer.sni ?? host,
    // An IP address is verified, but not asked for (RFC 6066, 3).
    ...(peer.sni !== undefined && net.isIP(peer.sni) === 0 && { servername: peer.sni }),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: verifyCert,
    ...(ca !== undefined && { ca }),
    ...(clientCertificate !== undefined && { cert: clientCertificate.cert, key: clientCertificate.key }),
    checkServerIdentity: (name, certificate) => {
      if (!verifyHostname) return undefined;
      const wrong = tls.checkServerIdentity(peer.sni ?? name, certificate);
      if (wrong === undefined || alternativeName === undefined) return wrong;
      return tls.checkServerIdentity(alternativeName, certificate);
    },
  });
  if (options.onKeylog !== undefined) secured.on("keylog", options.onKeylog);
  return secured;
}

/** Waits until the socket is usable, at most `timeoutMs`; a socket that is not is destroyed. */
function opened(
  socket: net.Socket,
  event: "connect" | "secureConnect",
  peer: HttpPeer,
  timeoutMs: number,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const settle = (error?: CirqueError): void => {
      clearTimeout(timer);
      socket.off(event, onOpen);
      socket.off("close", onClose);
      // Errors that come later belong to whoever takes the socket over; until then they must not be unhandled.
      if (error === undefined) {
        socket.off("error", onError);
        resolve(socket);
      } else {
        socket.destroy();
        reject(error);
      }
    };
    const onOpen = (): void => settle();
    const onError = (error: Error): void =>
      settle(event === "connect" ? connectError(peer, error) : tlsError(peer, error));
    const onClose = (): void => onError(new Error("the peer closed the connection"));
    const timer =
      timeoutMs < 2 ** 31 - 1
        ? setTimeout(
            () => {
              const code = event === "connect" ? "ConnectTimedout" : "TLSHandshakeTimedout";
              settle(
                CirqueError.upstream(code, `${peer} was not there after ${Math.round(timeoutMs)} ms`, { retry: true }),
              );
            },
            Math.max(1, timeoutMs),
          )
        : undefined;
    socket.on(event, onOpen);
    socket.on("error", onError);
    socket.on("close", onClose);
  });
}

function sourceAddress(host: string, { bindToIpv4 = [], bindToIpv6 = [] }: ConnectOptions): string | undefined {
  const family = net.isIP(host) || (bindToIpv4.length > 0 ? 4 : 6);
  const addresses = family === 4 ? bindToIpv4 : bindToIpv6;
  return addresses[Math.floor(Math.random() * addresses.length)];
}
