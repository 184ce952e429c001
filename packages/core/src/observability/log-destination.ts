import { close, constants, fstatSync, openSync, write, writeSync } from "node:fs";
import { resolve } from "node:path";
import { CirqueError } from "../errors/cirque-error.ts";

/** How much may wait to be written, in bytes. */
const mostPending = 1024 * 1024;

/** How many files may wait to be finished, because the log was opened again and again while nothing could be written. */
const mostUnfinished = 4;

/** What a pipe takes in one piece, so that lines of several writers do not mix (`PIPE_BUF`), in bytes. */
const atomicPipeWrite = 4096;

const retryIntervalMs = 100;

const lineBreak = 0x0a;

/**
 * Where log lines go: a descriptor that is written in the background, so that a slow reader does not hold up the event
 * loop. What waits is bounded; beyond, and when writing fails, lines are dropped, and their number is logged later.
 * Others may write to the same file or pipe: lines stay whole.
 *
 * pino's own destination never comes back from its last flush when the disk is full.
 */
export class LogDestination {
  /** Undefined for a descriptor that somebody else has opened. */
  readonly #path: string | undefined;
  readonly #fields: object;
  /** The last one takes new lines. Those before were moved away: they are finished, and closed. */
  readonly #files: LogFile[];
  #pendingBytes = 0;
  #dropped = 0;
  #busy = false;

  /**
   * @param destination An open descriptor, or a file, which is opened for append and created when missing.
   * @param fields Those of records that are written on its own behalf.
   * @throws CirqueError `FileOpenError` when the file cannot be opened.
   */
  constructor(destination: number | string, fields: object = { pid: process.pid }) {
    this.#path = typeof destination === "string" ? resolve(destination) : undefined;
    this.#fields = fields;
    this.#files = [typeof destination === "string" ? openLogFile(destination) : logFile(destination)];
    if (this.#path !== undefined) files.add(new WeakRef(this));
  }

  /**
   * Opens the file again, which somebody has moved away: what was logged before goes to the old one. When it cannot be
   * opened, the old one stays in use.
   *
   * @throws CirqueError `FileOpenError` when it cannot be opened.
   */
  reopen(): void {
    if (this.#path === undefined) return;
    if (this.#files.length > mostUnfinished) {
      const message = `the log file ${this.#path} is not opened again: nothing could be written since it was, ${mostUnfinished} times`;
      throw CirqueError.internal("FileOpenError", message);
    }
    this.#files.push(openLogFile(this.#path));
    if (!this.#busy) this.#closeFinished();
  }

  /** Takes one record, with its line break. */
  write(line: string): void {
    if (this.#pendingBytes + line.length > mostPending) {
      this.#dropped++;
      return;
    }
    this.#files.at(-1)?.lines.push(line);
    this.#pendingBytes += line.length;
    if (this.#busy) return;
    this.#busy = true;
    flushAtExit(this);
    // Not at once: what is logged right before the process exits then waits here, and is written by flushSync().
    setImmediate(() => this.#writePending());
  }

  /** Writes what waits, as far as that is possible without waiting. */
  flushSync(): void {
    for (const file of this.#files) {
      const { bytes } = this.#take(file);
      try {
        for (let done = 0; done < bytes.length; ) done += writeSync(file.descriptor, bytes, done);
      } catch {
        // The process is about to exit, and there is no other place to say so.
      }
    }
  }

  #writePending(): void {
    this.#closeFinished();
    const [file] = this.#files;
    if (file && file.lines.length > 0) {
      this.#writeBatch(file, this.#take(file), 0);
      return;
    }
    this.#busy = false;
    flushed(this);
  }

  /** Writes the batch from a position on, and then what waits. */
  #writeBatch(file: LogFile, batch: Batch, start: number): void {
    const { bytes } = batch;
    const length = file.takesAll ? bytes.length - start : linesWithin(bytes, start, atomicPipeWrite);
    write(file.descriptor, bytes, start, length, null, (error, written) => {
      if (error && (error.code === "EAGAIN" || error.code === "EBUSY")) {
        setTimeout(() => this.#writeBatch(file, batch, start), retryIntervalMs).unref();
        return;
      }
      const end = start + (error ? 0 : written);
      if (end > start) file.torn = bytes[end - 1] !== lineBreak;
      if (error) this.#dropRest(batch, end);
      else if (end < bytes.length) return this.#writeBatch(file, batch, end);
      this.#writePending();
    });
  }

  #dropRest({ bytes, noticeLength, noticed }: Batch, start: number): void {
    if (start < noticeLength) this.#dropped += noticed;
    this.#dropped += countLines(bytes, Math.max(start, noticeLength));
  }

  /** Closes files that were moved away and have all their lines. */
  #closeFinished(): void {
    const finished = this.#files.findIndex(({ lines }, index) => lines.length > 0 || index === this.#files.length - 1);
    for (const { descriptor } of this.#files.splice(0, finished)) close(descriptor, () => {});
  }

  /** The lines that wait for a file, behind a notice of those that were dropped. */
  #take(file: LogFile): Batch {
    const text = file.lines.splice(0).join("");
    this.#pendingBytes -= text.length;
    const noticed = text === "" ? 0 : this.#dropped;
    this.#dropped -= noticed;
    const notice = noticed === 0 ? "" : this.#notice(`${noticed} log records were dropped`);
    // A line that could only be written in part must not spoil the next one.
    const lead = file.torn && text !== "" ? `\n${notice}` : notice;
    return { bytes: Buffer.from(lead + text), noticeLength: Buffer.byteLength(lead), noticed };
  }

  #notice(msg: string): string {
    return `${JSON.stringify({ level: 40, time: Date.now(), ...this.#fields, msg })}\n`;
  }
}

interface LogFile {
  readonly descriptor: number;
  /** Whether lines stay whole however many are written at once: in a file opened for append. */
  readonly takesAll: boolean;
  /** Those that wait. */
  readonly lines: string[];
  /** Whether it ends in the middle of a line. */
  torn: boolean;
}

/** Lines on their way. */
interface Batch {
  readonly bytes: Buffer;
  /** How many of the bytes are about lines that were dropped before. */
  readonly noticeLength: number;
  /** How many lines that were. */
  readonly noticed: number;
}

function openLogFile(path: string): LogFile {
  // A pipe that nobody reads must fail here, and not block the thread.
  const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NONBLOCK;
  try {
    return logFile(openSync(path, flags));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw CirqueError.because("FileOpenError", `cannot open the log file ${path}: ${reason}`, error);
  }
}

function logFile(descriptor: number): LogFile {
  return { descriptor, takesAll: isFile(descriptor), lines: [], torn: false };
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    // Writing will say the same.
    return false;
  }
}

/** How many bytes of whole lines there are within the limit; more than that for one line that is longer. */
function linesWithin(bytes: Buffer, start: number, limit: number): number {
  if (bytes.length - start <= limit) return bytes.length - start;
  const end = bytes.lastIndexOf(lineBreak, start + limit - 1);
  return (end >= start ? end : bytes.indexOf(lineBreak, start)) + 1 - start;
}

function countLines(bytes: Buffer, start: number): number {
  let count = 0;
  for (let end = bytes.indexOf(lineBreak, start); end >= 0; end = bytes.indexOf(lineBreak, end + 1)) count++;
  return count;
}

/** Those that write to a file by name. */
const files = new Set<WeakRef<LogDestination>>();

/**
 * Opens again all files that loggers of this thread write to, after somebody has moved them away. What was logged before
 * goes to the old file, what is logged from here on to the new one. Where a file cannot be opened, the old one stays in use.
 * A server does it on SIGUSR1, in each of its threads.
 *
 * @returns why some could not be opened, each a `CirqueError` with the code `FileOpenError`: to be logged.
 */
export function reopenLogs(): Error[] {
  const errors: Error[] = [];
  for (const reference of files) {
    const destination = reference.deref();
    if (!destination) files.delete(reference);
    try {
      destination?.reopen();
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error)));
    }
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
