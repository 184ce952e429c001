import type { Socket } from "node:net";

/**
 * Whether both ends of a connected socket are the same one. On the loopback interface, a connection to a port without a
 * listener can be given that very port as its local one, and then TCP connects it to itself: a dead backend would look
 * alive.
 */
export function isConnectedToItself(socket: Socket): boolean {
  return (
    socket.localPort !== undefined &&
    socket.localPort === socket.remotePort &&
    socket.localAddress === socket.remoteAddress
  );
}
