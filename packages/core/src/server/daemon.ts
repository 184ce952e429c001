import { openSync } from "node:fs";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { Launch } from "./launch.ts";

/**
 * Starts this program again, with the same arguments, in a session of its own, and waits for its report: that it serves
 * when `daemonWaitForReady` is set, else that it has written its pid file (`DMN-06`). Node cannot fork.
 *
 * The standard error goes to `errorLog` and the standard output nowhere; without `errorLog` both stay (`DMN-04`).
 *
 * @throws CirqueError `InternalError` with the reason of the daemon when it fails or ends, or does not report in time.
 */
export async function startDaemon(configuration: ServerConfiguration): Promise<void> {
  const { errorLog, daemonWaitForReady, daemonReadyTimeoutMs } = configuration;
  const log = errorLog === undefined ? undefined : openLog(errorLog);
  const daemon = new Launch({
    name: "the daemon",
    stdio: ["ignore", log === undefined ? "inherit" : "ignore", log ?? "inherit"],
    detached: true,
  });
  const stopForwarding = forwardSignals(daemon);
  try {
    await daemon.reported(daemonWaitForReady ? "ready" : "started", daemonReadyTimeoutMs);
  } finally {
    stopForwarding();
    daemon.release();
  }
}

function openLog(file: string): number {
  try {
    return openSync(file, "a", 0o640);
  } catch (error) {
    throw CirqueError.because("FileOpenError", `cannot open the error log ${file}`, error);
  }
}

/** Whoever interrupts the command that starts the daemon wants no daemon. */
function forwardSignals(daemon: Launch): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const forward = (signal: NodeJS.Signals): void => {
    daemon.process.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}
