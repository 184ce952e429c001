import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { Recorder } from "./recorder.ts";

/** A TLS server and what it has accepted. */
export interface TlsOrigin extends AsyncDisposable {
  readonly address: string;
  /** Connections whose handshake has succeeded here. */
  readonly secured: Recorder<TLSSocket>;
  /** What they run over. */
  readonly transports: Socket[];
}

/** A TLS server with a certificate. It answers whatever it gets with an empty response. */
export async function tlsOrigin(options: TlsOptions, to: { host?: string; path?: string } = {}): Promise<TlsOrigin> {
  const secured = new Recorder<TLSSocket>();
  const transports: Socket[] = [];
  const server = createServer({ ALPNProtocols: ["h2", "http/1.1"], ...options }, (socket) => {
    secured.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
  });
  server.on("tlsClientError", () => {});
  server.on("connection", (socket) => transports.push(socket));
  server.listen(to.path === undefined ? { host: to.host ?? "127.0.0.1", port: 0 } : { path: to.path });
  await once(server, "listening");
  return { address: addressOf(server), secured, transports, [Symbol.asyncDispose]: () => closed(server, transports) };
}

/** Where a server listens, as a peer is told. */
export function addressOf(server: Server): string {
  const bound = server.address();
  if (typeof bound === "string") return `unix:${bound}`;
  const { address, port } = bound as AddressInfo; // it listens
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Closes a server and its connections. */
export async function closed(server: Server, sockets: readonly Socket[] = []): Promise<void> {
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, "close");
}
