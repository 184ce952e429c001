import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";

export interface BindRetryOptions {
  readonly retries: number;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly onRetry: (error: Error, attempt: number) => void;
}

/** Calls `bind` again while it fails because the address is in use (`LST-06`). */
export async function bindWithRetries<T>(
  address: string,
  { retries, intervalMs, signal, onRetry }: BindRetryOptions,
  bind: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    if (signal.aborted) throw stopped(address);
    try {
      return await bind();
    } catch (error) {
      const failure = bindError(address, error);
      if (failure.context.systemCode !== "EADDRINUSE" || attempt >= retries) throw failure;
      onRetry(failure, attempt + 1);
    }
    await delay(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** What binding failed with, in words that tell what to do. */
export function bindError(address: string, cause: unknown): CirqueError {
  if (isCirqueError(cause)) return cause;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason = reasonFor(code, address) ?? (cause instanceof Error ? cause.message : String(cause));
  return CirqueError.internal("BindError", `cannot listen on ${address}: ${reason}`, {
    cause,
    context: { address, systemCode: code },
  });
}

/** The error of a path or address that another program listens on. */
export function inUseError(address: string): CirqueError {
  return bindError(address, Object.assign(new Error("address in use"), { code: "EADDRINUSE" }));
}

function reasonFor(code: string, address: string): string | undefined {
  if (code !== "EACCES" || !address.startsWith("unix:")) return reasons[code];
  // libuv reports a missing directory as a missing permission.
  const directory = dirname(address.slice("unix:".length));
  return existsSync(directory) ? `permission denied in ${directory}` : `the directory ${directory} does not exist`;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use; stop the program that listens there, or choose another",
  EADDRNOTAVAIL: "no network interface of this machine has that address",
  EACCES: "permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
  ENOTFOUND: "the host name cannot be resolved",
  EAI_AGAIN: "the host name cannot be resolved at the moment",
};

function stopped(address: string): CirqueError {
  return CirqueError.internal("BindError", `cannot listen on ${address}: the server was stopped`, {
    context: { address },
  });
}
