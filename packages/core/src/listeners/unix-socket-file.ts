import { chmodSync, lstatSync, renameSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { removeStaleSocket } from "./stale-socket.ts";

/**
 * The file of a Unix socket. The socket is bound to another name in the same directory, and the file renamed: so the
 * path always leads to a socket with the right permissions, and the system, which removes the name that was bound when
 * the socket is closed, leaves the path alone that the next process has taken over.
 */
export class UnixSocketFile {
  readonly path: string;
  readonly temporaryPath: string;
  readonly #mode: number;
  #inode: bigint | undefined;

  /** @param mode The permissions. Default `0o666` (`LST-02`). */
  constructor(path: string, mode = 0o666) {
    this.path = path;
    this.temporaryPath = temporaryPathFor(path);
    this.#mode = mode;
  }

  /** The file of a socket that was inherited. */
  static inherited(path: string, mode: number | undefined): UnixSocketFile {
    const file = new UnixSocketFile(path, mode);
    file.#inode = inodeOf(path);
    return file;
  }

  /**
   * Makes room at the path.
   *
   * @throws CirqueError `BindError` when somebody listens there, or the file is no socket.
   */
  async prepare(): Promise<void> {
    await removeStaleSocket(this.path);
  }

  /** Puts the socket at its path. */
  publish(): void {
    chmodSync(this.temporaryPath, this.#mode);
    renameSync(this.temporaryPath, this.path);
    this.#inode = inodeOf(this.path);
  }

  /** Removes the file, unless somebody else has put another one there. */
  remove(): void {
    try {
      if (this.#inode !== undefined && inodeOf(this.path) === this.#inode) unlinkSync(this.path);
    } catch {
      // It stays, and the next one to listen there finds that nobody does.
    }
  }
}

let count = 0;

function temporaryPathFor(path: string): string {
  // Short: the system takes about a hundred bytes, and the path may be nearly as long.
  const name = `.${process.pid.toString(36)}-${(count++).toString(36)}`;
  return join(dirname(path), name);
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
