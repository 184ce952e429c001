import type { ResponseHead } from "@cirque/http";

/** How long each step of connecting took, in milliseconds; undefined for a step that there was none (V9-18). */
export interface ConnectTiming {
  /** Finding the addresses of a name: that of the next hop, if there is one. */
  readonly dnsMs: number | undefined;
  /** The TCP connection to the peer or its next hop, or that to a Unix socket, or whatever a function of the user's own did. */
  readonly transportMs: number;
  /** The tunnel through the next hop, TLS with the hop included. */
  readonly nextHopMs: number | undefined;
  /** The TLS handshake. */
  readonly tlsMs: number | undefined;
  /** All of it. */
  readonly totalMs: number;
}

/** What is known of a connection that was made. */
export interface ConnectFacts {
  /** The address of the peer, as it was given. */
  readonly peer: string;
  /** The other end: that of the first hop, if there are several. Undefined where there is no such thing. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** The name that was resolved to reach the other end, in lower case. */
  readonly resolvedName: string | undefined;
  readonly timing: ConnectTiming;
  /** What the next hop said. */
  readonly nextHop: { readonly response: ResponseHead | undefined; readonly userData: unknown } | undefined;
  /** What was agreed on in TLS. */
  readonly tls:
    | {
        /** Such as `TLSv1.3`. */
        readonly protocol: string | null;
        /** Such as `TLS_AES_128_GCM_SHA256`. */
        readonly cipher: string;
        /** The protocol that was chosen of `alpn`, or false. */
        readonly alpn: string | false | null;
        readonly userData: unknown;
      }
    | undefined;
}

const facts = new WeakMap<object, ConnectFacts>();

/** What is known of the making of a socket that `connect` returned; undefined for any other. */
export function connectFactsOf(socket: object): ConnectFacts | undefined {
  return facts.get(socket);
}

export function rememberFacts(socket: object, known: ConnectFacts): void {
  facts.set(socket, known);
}
