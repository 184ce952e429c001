import { closeSync, writeSync } from "node:fs";

/** Tells a process that it is the daemon, and on which descriptor to report. */
export const daemonReportVariable = "CIRQUE_DAEMON_REPORT";

/** What a daemon tells the process that started it (`DMN-06`, `DMN-07`). */
export interface DaemonReport {
  /** The pid file is written. */
  started(): void;
  /** Everything serves. Nothing more is reported. */
  ready(): void;
  /** The start failed. Nothing more is reported. */
  failed(reason: string): void;
}

/**
 * The report of this process if it was started as a daemon. Asking a second time gives nothing: the mark must not
 * reach the processes that this one starts.
 */
export function takeDaemonReport(): DaemonReport | undefined {
  const descriptor = Number(process.env[daemonReportVariable]);
  delete process.env[daemonReportVariable];
  if (!Number.isInteger(descriptor) || descriptor < 3) return undefined;
  let open = true;
  const write = (line: string, last: boolean): void => {
    if (!open) return;
    open = !last;
    try {
      writeSync(descriptor, `${line}\n`);
      if (last) closeSync(descriptor);
    } catch {
      // The process that started this one has gone, as it does when it waits for "started" only.
    }
  };
  return {
    started: () => write("started", false),
    ready: () => write("ready", true),
    failed: (reason) => write(`failed ${JSON.stringify(reason)}`, true),
  };
}
