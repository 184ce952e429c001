import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { Arrival } from "./arrival.ts";
import { ConnectionRefused } from "./connection-refused.ts";

/** A connection whose first bytes can be looked at. */
export interface PreTlsConnection {
  readonly accepted: AcceptedConnection;
  /** The next bytes; undefined when the client sends nothing more. */
  read(): Promise<Buffer | undefined>;
  /** Gives bytes back, to TLS or to the handler. What was read and is not given back is gone. */
  unread(bytes: Buffer): void;
  /** Sends bytes in the clear. */
  write(bytes: Buffer): void;
  /**
   * Says who the client is, and what it connected to, as `accepted` will tell.
   * @throws CirqueError `InvalidArgument` for what is no address with port.
   */
  setAddresses(addresses: { readonly clientAddress?: string; readonly serverAddress?: string }): void;
}

/**
 * Looks at a connection before TLS (`V9-10`): may read the first bytes and change addresses, and answers
 * whether the connection is taken. One for which it throws, rejects or does not come to an end in time is closed; no other one notices.
 *
 * @example
 * // A load balancer sends one line of its own in front: the client's address.
 * async function preTls(connection: PreTlsConnection): Promise<boolean> {
 *   const bytes = (await connection.read()) ?? Buffer.alloc(0);
 *   const end = bytes.indexOf("\n");
 *   if (end === -1) return false;
 *   connection.setAddresses({ clientAddress: bytes.toString("latin1", 0, end) });
 *   connection.unread(bytes.subarray(end + 1));
 *   return true;
 * }
 */
export type PreTlsHook = (connection: PreTlsConnection) => boolean | Promise<boolean>;

/** @throws ConnectionRefused */
export async function applyPreTls(hook: PreTlsHook, arrival: Arrival, timeoutMs: number): Promise<void> {
  let answer: boolean;
  try {
    answer = await arrival.within(timeoutMs, "pre-tls", () => hook(arrival));
  } catch (cause) {
    throw ConnectionRefused.because("pre-tls-error", "the pre-TLS hook failed", cause);
  }
  // What is not true is a mistake of the user's: it must not open the door.
  if (answer !== true) throw new ConnectionRefused("pre-tls", "the pre-TLS hook refused it");
}
