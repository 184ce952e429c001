import { CirqueError, isCirqueError } from "@cirque/core";

/** Why a connection did not end well: the label `reason` of the metric, and a field of the log. */
export type TcpFailureReason =
  /** `upstreamPeer` had no peer. */
  | "no-peer"
  /** A callback threw, or rejected. */
  | "callback"
  /** No peer could be connected to. */
  | "connect"
  /** What the client sent was no ClientHello, or did not come in time. */
  | "client-hello"
  /** The client was gone before both sides had ended. */
  | "client-gone"
  /** The peer was gone before both sides had ended. */
  | "upstream-gone"
  /** Nothing was carried for too long. */
  | "idle"
  /** The service stopped and did not wait any longer. */
  | "stopped"
  /** Something that should not happen. */
  | "internal";

/** The reason that an error was given. */
export function failureReason(error: CirqueError): TcpFailureReason {
  const { reason } = error.context;
  return typeof reason === "string" ? (reason as TcpFailureReason) : "internal";
}

/** Gives an error its reason, unless it has one. What is thrown by others becomes the cause of one of ours. */
export function withReason(error: unknown, reason: TcpFailureReason, message: string): CirqueError {
  const own = isCirqueError(error) ? error : CirqueError.internal("InternalError", message, { cause: error });
  return own.context.reason === undefined ? own.withContext({ reason }) : own;
}
