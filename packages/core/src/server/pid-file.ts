import {
  closeSync,
  constants,
  fchownSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { resolve } from "node:path";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Identity } from "./identity.ts";

/** The file that holds the process id of a daemon (`DMN-01`). */
export class PidFile {
  readonly #path: string;
  /** Whether the file of another process was moved away. */
  readonly #movedAway: boolean;

  private constructor(path: string, movedAway: boolean) {
    this.#path = path;
    this.#movedAway = movedAway;
  }

  /**
   * Writes the id of this process to a new file; one that is there becomes `${path}.old`. Where the directory may not be
   * changed, since the process has given up the rights of root, the file is written in place.
   *
   * @param owner Who the file is given to. Default: who writes it.
   * @throws CirqueError `FileCreateError`.
   */
  static write(path: string, owner?: Identity): PidFile {
    const file = resolve(path);
    try {
      const moved = moveAway(file);
      writeId(moved === "denied" ? openInPlace(file) : openNew(file), owner);
      return new PidFile(file, moved === "moved");
    } catch (error) {
      throw CirqueError.because("FileCreateError", `cannot write the pid file ${path}: ${reasonOf(error)}`, error);
    }
  }

  /** Removes the file if it still names this process: a successor may have written its own. */
  remove(): void {
    try {
      if (readFileSync(this.#path, "utf8").trim() !== String(process.pid)) return;
      unlinkSync(this.#path);
    } catch {
      // After a change of user the directory may not be ours to change, while the file is.
      emptyFile(this.#path);
    }
  }

  /** For a process that has failed to start: puts the file back that was there before. */
  restore(): void {
    this.remove();
    if (!this.#movedAway) return;
    try {
      renameSync(`${this.#path}.old`, this.#path);
    } catch {
      // Somebody else has taken it.
    }
  }
}

/** Whether there was a file, or it may not be moved. */
function moveAway(path: string): "moved" | "none" | "denied" {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (!status) return "none";
  if (!status.isFile() && !status.isSymbolicLink()) throw new Error("it exists and is not a file");
  try {
    renameSync(path, `${path}.old`);
    return "moved";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EACCES" || code === "EPERM") return "denied";
    throw error;
  }
}

/** Exclusively: in a directory like /tmp somebody else could put a link to another file there in between. */
function openNew(path: string): number {
  return openSync(path, "wx", 0o644);
}

/** Never through a link, for the same reason. */
function openInPlace(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
}

function writeId(descriptor: number, owner: Identity | undefined): void {
  try {
    ftruncateSync(descriptor);
    writeSync(descriptor, `${process.pid}\n`);
    if (owner) fchownSync(descriptor, owner.uid, owner.gid);
  } finally {
    closeSync(descriptor);
  }
}

function emptyFile(path: string): void {
  try {
    truncateSync(path);
  } catch {
    // It is gone already, or was never ours.
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
