/**
 * The origin behind every proxy of the UDP scenario: sends each datagram back. It listens on a port the system chooses,
 * and reports that port to its parent.
 */
import { createSocket, type SocketOptions } from "node:dgram";

// The sender is an address already; Node's own look-up would cost a turn of the event loop for each datagram.
const lookup = ((address: string, family: number, callback: (error: null, address: string, family: number) => void) =>
  callback(null, address, family)) as NonNullable<SocketOptions["lookup"]>;

const socket = createSocket({ type: "udp4", lookup, recvBufferSize: 1024 * 1024 });
socket.on("message", (datagram, from) => socket.send(datagram, from.port, from.address));
socket.bind(0, "127.0.0.1", () => process.send?.({ port: socket.address().port }));
process.on("disconnect", () => process.exit(0));
