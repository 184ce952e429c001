import { closeSync, writeSync } from "node:fs";

/** Tells a process that another one of this program started it, and on which descriptor to report. */
export const launchReportVariable = "CIRQUE_LAUNCH_REPORT";

/** What a process tells the one that started it: as a daemon (`DMN-06`, `DMN-07`), or as its successor (`UPG-01`). */
export interface LaunchReport {
  /** The pid file is written. */
  started(): void;
  /** Everything serves. Nothing more is reported. */
  ready(): void;
  /** The start failed. Nothing more is reported. */
  failed(reason: string): void;
}

/** Whether another process of this program started this one, until its report is taken. */
export function isLaunched(): boolean {
  return process.env[launchReportVariable] !== undefined;
}

/**
 * The report of this process if another one of this program started it. Asking a second time gives nothing: the mark
 * must not reach the processes that this one starts.
 */
export function takeLaunchReport(): LaunchReport | undefined {
  const descriptor = Number(process.env[launchReportVariable]);
  delete process.env[launchReportVariable];
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
