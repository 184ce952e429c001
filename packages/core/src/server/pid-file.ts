import {
  closeSync,
  fchownSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { CirqueError } from "../errors/cirque-error.ts";
import type { Identity } from "./identity.ts";

/**
 * Writes the id of this process to a new file; one that is there becomes `${path}.old` (`DMN-01`).
 *
 * @param owner Who the file is given to. Default: who writes it.
 * @throws CirqueError `FileCreateError`.
 */
export function writePidFile(path: string, owner?: Identity): void {
  try {
    moveAway(path);
    // Exclusively: in a directory like /tmp somebody else could put a link to another file there in between.
    const descriptor = openSync(path, "wx", 0o644);
    writeSync(descriptor, `${process.pid}\n`);
    if (owner) fchownSync(descriptor, owner.uid, owner.gid);
    closeSync(descriptor);
  } catch (error) {
    throw CirqueError.because("FileCreateError", `cannot write the pid file ${path}: ${reasonOf(error)}`, error);
  }
}

/** Removes the file if it still names this process: a successor may have written its own (`DMN-01`). */
export function removePidFile(path: string): void {
  try {
    if (readFileSync(path, "utf8").trim() !== String(process.pid)) return;
    unlinkSync(path);
  } catch {
    // After a change of user the directory may not be ours to change, while the file is.
    emptyFile(path);
  }
}

function moveAway(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (!status) return;
  if (!status.isFile() && !status.isSymbolicLink()) throw new Error("it exists and is not a file");
  renameSync(path, `${path}.old`);
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
