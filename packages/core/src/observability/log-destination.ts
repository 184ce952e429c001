import { close, openSync, write, writeSync } from "node:fs";
import { resolve } from "node:path";

/** How much may wait to be written, in bytes. */
const mostPending = 1024 * 1024;

const retryIntervalMs = 100;

/**
 * Where log lines go: a descriptor that is written in the background, so that a slow reader does not hold up the event
 * loop. What waits is bounded; beyond, and when writing fails, lines are dropped, and their number is logged later.
 *
 * pino's own destination never comes back from its last flush when the disk is full.
 */
export class LogDestination {
  /** Undefined for a descriptor that somebody else has opened. */
  readonly #path: string | undefined;
  #descriptor: number;
  #pending: string[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #busy = false;
  /** The file that was opened again, and the lines for it, while those before are still being written. */
  #next: { readonly descriptor: number; readonly lines: string[] } | undefined;

  /**
   * @param destination An open descriptor, or a file, which is opened for append and created when missing.
   * @throws what `openSync` throws.
   */
  constructor(destination: number | string) {
    this.#path = typeof destination === "string" ? resolve(destination) : undefined;
    this.#descriptor = typeof destination === "number" ? destination : openSync(destination, "a");
    if (this.#path !== undefined) files.add(new WeakRef(this));
  }

  /**
   * Opens the file again, which somebody has moved away: what was logged before goes to the old one. When it cannot be
   * opened, the old one stays in use.
   *
   * @returns why it could not be opened.
   */
  reopen(): Error | undefined {
    if (this.#path === undefined || this.#next) return undefined;
    try {
      this.#next = { descriptor: openSync(this.#path, "a"), lines: [] };
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    if (!this.#busy) this.#switchToNext();
    return undefined;
  }

  /** Takes one record, with its line break. */
  write(line: string): void {
    if (this.#pendingBytes + line.length > mostPending) {
      this.#dropped++;
      return;
    }
    (this.#next?.lines ?? this.#pending).push(line);
    this.#pendingBytes += line.length;
    if (this.#busy) return;
    this.#busy = true;
    flushAtExit(this);
    // Not at once: what is logged right before the process exits then waits here, and is written by flushSync().
    setImmediate(() => this.#writePending());
  }

  /** Writes what waits, as far as that is possible without waiting. */
  flushSync(): void {
    let rest = Buffer.from(this.#take() + (this.#next?.lines.splice(0).join("") ?? ""));
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#descriptor, rest));
    } catch {
      // The process is about to exit, and there is no other place to say so.
    }
  }

  #writePending(): void {
    const lines = this.#pending.length;
    const text = this.#take();
    if (text === "" && this.#next) {
      this.#switchToNext();
      this.#writePending();
      return;
    }
    if (text === "") {
      this.#busy = false;
      flushed(this);
      return;
    }
    this.#writeAll(Buffer.from(text), lines);
  }

  #writeAll(bytes: Buffer, lines: number): void {
    write(this.#descriptor, bytes, (error, written) => {
      if (error && (error.code === "EAGAIN" || error.code === "EBUSY")) {
        setTimeout(() => this.#writeAll(bytes, lines), retryIntervalMs).unref();
        return;
      }
      if (error) this.#dropped += lines;
      else if (written < bytes.length) return this.#writeAll(bytes.subarray(written), lines);
      this.#writePending();
    });
  }

  /** Everything logged before has been written. */
  #switchToNext(): void {
    const next = this.#next;
    if (!next) return;
    close(this.#descriptor, () => {});
    this.#descriptor = next.descriptor;
    this.#pending = next.lines;
    this.#next = undefined;
  }

  #take(): string {
    const text = this.#pending.join("");
    this.#pending = [];
    this.#pendingBytes -= text.length;
    if (text === "" || this.#dropped === 0) return text;
    const notice = { level: 40, time: Date.now(), pid: process.pid, msg: `${this.#dropped} log records were dropped` };
    this.#dropped = 0;
    return `${JSON.stringify(notice)}\n${text}`;
  }
}

/** Those that write to a file by name. */
const files = new Set<WeakRef<LogDestination>>();

/**
 * Opens all log files of this thread again, after somebody has moved them away. A file that cannot be opened stays as it is.
 *
 * @returns why some could not be opened.
 */
export function reopenLogs(): Error[] {
  const errors: Error[] = [];
  for (const reference of files) {
    const destination = reference.deref();
    if (!destination) files.delete(reference);
    const error = destination?.reopen();
    if (error) errors.push(error);
  }
  return errors;
}

/** Those with lines that wait. One listener serves all, since Node warns of more than ten. */
const unflushed = new Set<LogDestination>();
const waiters = new Set<() => void>();

/** Resolves when no line waits to be written, or after `timeoutMs`: a reader of the log may be stuck. */
export async function logsWritten(timeoutMs: number): Promise<void> {
  if (unflushed.size === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  waiters.add(resolve);
  const timer = setTimeout(resolve, timeoutMs);
  await promise;
  clearTimeout(timer);
  waiters.delete(resolve);
}

function flushAtExit(destination: LogDestination): void {
  if (unflushed.size === 0) process.on("exit", flushAll);
  unflushed.add(destination);
}

function flushed(destination: LogDestination): void {
  unflushed.delete(destination);
  if (unflushed.size > 0) return;
  process.off("exit", flushAll);
  for (const resolve of waiters) resolve();
}

function flushAll(): void {
  for (const destination of unflushed) destination.flushSync();
}
