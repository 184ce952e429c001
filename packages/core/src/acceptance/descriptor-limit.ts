import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { ConnectionRefused } from "./connection-refused.ts";

/**
 * Keeps some of the process's file descriptors back from clients (`SVC-13`). When none is left, the system can accept
 * nothing, Node closes what waits without a word, and what was accepted fails, too, for want of connections to origins
 * and of files. The system gives out the lowest number that is free: so that of a new socket tells how many are in use.
 */
export class DescriptorLimit {
  readonly #highest: number;

  /** @param limit How many descriptors the process may have. */
  constructor(limit: number) {
    this.#highest = limit - Math.min(LARGEST_RESERVE, Math.max(SMALLEST_RESERVE, Math.floor(limit / 10)));
  }

  /** The limit of this process; undefined where the system does not tell, which is not Linux, or has none. */
  static ofProcess(): DescriptorLimit | undefined {
    const limit = openFilesLimit();
    return limit === undefined ? undefined : new DescriptorLimit(limit);
  }

  /** @throws ConnectionRefused when the socket's descriptor is one of those that are kept back. */
  check(socket: Socket): void {
    // Not documented by Node; without it, nothing is kept back.
    const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
    const descriptor = handle?.fd ?? -1;
    if (descriptor < this.#highest) return;
    const message = `the process has ${descriptor} file descriptors in use; raise its limit (ulimit -n, LimitNOFILE=)`;
    throw new ConnectionRefused("file-descriptors", message);
  }
}

/** A tenth, for connections to origins, files and logs; between these. */
const SMALLEST_RESERVE = 8;
const LARGEST_RESERVE = 1_000;

function openFilesLimit(): number | undefined {
  try {
    const soft = /^Max open files +([0-9]+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
