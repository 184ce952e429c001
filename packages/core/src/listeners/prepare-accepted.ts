import { Socket } from "node:net";
import { CirqueError } from "../errors/cirque-error.ts";
import type { TcpListenerOptions } from "./bind-options.ts";

/** Sets the options of sockets that were accepted. */
export type PrepareAccepted = (socket: Socket) => void;

/**
 * What sets the options of accepted sockets; undefined where there are none.
 *
 * @throws CirqueError `InvalidArgument` when `dscp` is none, or Node is too old for it.
 */
export function prepareAccepted({ keepAlive, dscp }: TcpListenerOptions): PrepareAccepted | undefined {
  if (dscp !== undefined) assertDscp(dscp);
  if (keepAlive === undefined && dscp === undefined) return undefined;
  return (socket) => {
    if (keepAlive !== undefined) {
      socket.setKeepAlive(true, keepAlive.idleMs, keepAlive.intervalMs ?? 1_000, keepAlive.count ?? 10);
    }
    if (dscp !== undefined) mark(socket, dscp);
  };
}

function mark(socket: Socket, dscp: number): void {
  try {
    socket.setTypeOfService(dscp << 2);
  } catch {
    // The client has left already; whoever reads from the socket finds out.
  }
}

function assertDscp(dscp: number): void {
  if (!(Number.isInteger(dscp) && dscp >= 0 && dscp < 64)) {
    throw new CirqueError("InvalidArgument", `dscp is ${dscp}; expected a whole number, 0 to 63`);
  }
  if (typeof Socket.prototype.setTypeOfService !== "function") {
    throw new CirqueError("InvalidArgument", "dscp needs Node 26 or newer");
  }
}
