import type { Duplex } from "node:stream";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ConnectFacts } from "./connect-facts.ts";
import type { ConnectionTracer } from "./peer-options.ts";

/**
 * Tells a tracer of a connection, now and when it is closed (PO-24).
 * @throws CirqueError `InternalError` when the tracer throws; the connection is destroyed.
 */
export function traceConnection(socket: Duplex, tracer: ConnectionTracer, facts: ConnectFacts): void {
  try {
    tracer.onConnected?.(facts);
  } catch (cause) {
    socket.on("error", () => {});
    socket.destroy();
    throw CirqueError.internal("InternalError", `a tracer failed: ${String(cause)}`, { cause });
  }
  if (tracer.onDisconnected === undefined) return;
  socket.once("close", () => {
    try {
      tracer.onDisconnected?.(facts);
    } catch (cause) {
      // No request is there any more to fail; the thread must live on.
      process.emitWarning(`a tracer failed when ${facts.peer} was disconnected: ${String(cause)}`);
    }
  });
}
