import { randomBytes } from "node:crypto";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";

/**
 * Random keys of session tickets, the same in all threads of the process: a client that comes back meets any of them.
 * The main thread makes them before it starts others, and those that start later get them as well.
 */
export function processTicketKeys(): Buffer {
  const shared: unknown = getEnvironmentData(NAME);
  if (shared instanceof Uint8Array) return Buffer.from(shared);
  const keys = randomBytes(48);
  if (isMainThread) setEnvironmentData(NAME, new Uint8Array(keys));
  return keys;
}

const NAME = "cirque.tls.ticket-keys";
