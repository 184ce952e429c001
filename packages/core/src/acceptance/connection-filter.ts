import type { AcceptedConnection } from "../listeners/accepted-connection.ts";
import type { Arrival } from "./arrival.ts";
import { ConnectionRefused } from "./connection-refused.ts";

/**
 * Whether a connection is taken (`LST-17`). One for which it throws, rejects or does not answer in time is closed; no
 * other one notices.
 */
export type ConnectionFilter = (accepted: AcceptedConnection) => boolean | Promise<boolean>;

/** @throws ConnectionRefused */
export async function applyFilter(filter: ConnectionFilter, arrival: Arrival, timeoutMs: number): Promise<void> {
  let answer: boolean;
  try {
    answer = await arrival.within(timeoutMs, "filter", () => filter(arrival.accepted));
  } catch (cause) {
    throw ConnectionRefused.because("filter-error", "the connection filter failed", cause);
  }
  // What is not true is a mistake of the user's: it must not open the door.
  if (answer !== true) throw new ConnectionRefused("filter", "the connection filter refused it");
}
