import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { CirqueError } from "../errors/cirque-error.ts";
import { inUseError } from "./bind-with-retries.ts";

/**
 * Removes the file of a Unix socket that nobody listens on, so that its path can be bound (`LST-02`).
 *
 * @throws CirqueError `BindError` when somebody listens there, or the file is no socket: that is never removed.
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const status = await lstat(path).catch(() => undefined);
  // What hinders lstat, a missing directory for example, is reported by binding.
  if (!status) return;
  if (!status.isSocket()) {
    const message = `cannot listen on unix:${path}: the file exists and is not a socket; remove it, or choose another path`;
    throw CirqueError.internal("BindError", message, { context: { address: `unix:${path}` } });
  }
  if (await isListening(path)) throw inUseError(`unix:${path}`);
  await unlink(path).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    throw CirqueError.because("BindError", `cannot remove the stale socket unix:${path}`, error);
  });
}

/** Only a refusal proves that nobody listens: a full queue or a missing permission does not. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
