import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";

/** A socket with the descriptor that a child process can inherit, which Node does not show. */
export interface OpenSocket {
  readonly descriptor: number;
  /** The port of a TCP or UDP socket. */
  readonly port: number;
  close(): void;
}

export async function openServer(options: ListenOptions): Promise<OpenSocket> {
  const server = createServer().listen(options);
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return { descriptor: descriptorOf(server), port, close: () => void server.close() };
}

export async function openUdp(type: "udp4" | "udp6", address: string): Promise<OpenSocket> {
  const socket = createSocket(type);
  socket.bind(0, address);
  await once(socket, "listening");
  const handle = (socket as unknown as Record<symbol, { handle: { fd: number } }>)[stateSymbol(socket)];
  return { descriptor: handle?.handle.fd ?? -1, port: socket.address().port, close: () => void socket.close() };
}

/** Both ends of a TCP connection on the loopback address. */
export async function openConnection(): Promise<OpenSocket> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const socket = connect(port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket];
  const close = (): void => {
    socket.destroy();
    accepted.destroy();
    server.close();
  };
  return { descriptor: descriptorOf(accepted), port, close };
}

function descriptorOf(socket: Server | Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

function stateSymbol(socket: object): symbol {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol");
  if (!symbol) throw new Error("this version of Node keeps the state of a UDP socket elsewhere");
  return symbol;
}
