import { type ChildProcess, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { CirqueError } from "../errors/cirque-error.ts";
import { daemonReportVariable } from "./daemon-report.ts";

/** The descriptor of the pipe on which the daemon reports. */
const reportDescriptor = 3;

/**
 * Starts this program again, with the same arguments, in a session of its own, and waits for its report: that it serves
 * when `daemonWaitForReady` is set, else that it has written its pid file (`DMN-06`). Node cannot fork.
 *
 * The standard error goes to `errorLog` and the standard output nowhere; without `errorLog` both stay (`DMN-04`).
 *
 * @throws CirqueError `InternalError` with the reason of the daemon when it fails or ends, or does not report in time.
 */
export async function startDaemon(configuration: ServerConfiguration): Promise<void> {
  const child = spawnDaemon(configuration);
  const awaited = configuration.daemonWaitForReady ? "ready" : "started";
  const stopForwarding = forwardSignals(child);
  try {
    await reported(child, awaited, configuration.daemonReadyTimeoutMs);
  } finally {
    stopForwarding();
    child.stdio[reportDescriptor]?.destroy();
    child.unref();
  }
}

function spawnDaemon({ errorLog }: ServerConfiguration): ChildProcess {
  const log = errorLog === undefined ? undefined : openLog(errorLog);
  return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    env: { ...process.env, [daemonReportVariable]: String(reportDescriptor) },
    stdio: ["ignore", log === undefined ? "inherit" : "ignore", log ?? "inherit", "pipe"],
  });
}

function openLog(file: string): number {
  try {
    return openSync(file, "a", 0o640);
  } catch (error) {
    throw CirqueError.because("FileOpenError", `cannot open the error log ${file}`, error);
  }
}

/** Whoever interrupts the command that starts the daemon wants no daemon. */
function forwardSignals(child: ChildProcess): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}

async function reported(child: ChildProcess, awaited: "started" | "ready", timeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (reason: string, cause?: unknown): void => {
    reject(CirqueError.internal("InternalError", `the daemon did not start: ${reason}`, { cause }));
  };
  const timer = setTimeout(() => {
    child.kill("SIGTERM");
    fail(`it was not ${awaited} within ${timeoutMs} ms`);
  }, timeoutMs);
  child.once("error", (error) => fail(error.message, error));
  // "close" comes after the last line of the pipe, "exit" may come before it.
  child.once("close", (code, signal) => fail(signal === null ? `it exited with code ${code}` : `${signal} ended it`));
  // The stdio of spawnDaemon has a pipe there.
  const lines = createInterface({ input: child.stdio[reportDescriptor] as Readable });
  lines.on("line", (line) => {
    const [event, ...text] = line.split(" ");
    if (event === "failed") fail(String(JSON.parse(text.join(" "))));
    else if (event === awaited) resolve();
  });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    lines.close();
  }
}
