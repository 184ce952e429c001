import { chownSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import { removeStaleSocket } from "../listeners/stale-socket.ts";
import { findRunningServer, isRunning, type RunningProcess } from "./running-process.ts";
import { longestOutcomeBytes, parseUpgradeOutcome, type UpgradeOutcome } from "./upgrade-outcome.ts";

export interface UpgradeRequest {
  /** Where the running server has its process id (`CFG-04`). */
  readonly pidFile: string;
  /** The path of the Unix socket on which the running server reports the outcome (`CFG-05`). It exists meanwhile. */
  readonly upgradeSock: string;
  /** How long the new process may take to serve. Default: 60,000. */
  readonly timeoutMs?: number;
}

/**
 * Asks the running server to replace itself by a new process, and waits for the outcome (`CLI-01`). The running server is
 * sent SIGUSR2; only its user, or root when it runs as another user, can tell the outcome.
 *
 * @example
 * const { pid } = await requestUpgrade({ pidFile: "/run/cirque.pid", upgradeSock: "/run/cirque_upgrade.sock" });
 *
 * @returns The id of the new process, once it serves.
 * @throws CirqueError `UpgradeError` when the running server is not found or may not be signalled, when it says that the
 * upgrade failed, ends without a word, or takes too long, and when another upgrade is being asked for.
 */
export async function requestUpgrade(request: UpgradeRequest): Promise<{ readonly pid: number }> {
  const { pidFile, upgradeSock, timeoutMs = 60_000 } = request;
  const running = findRunningServer(pidFile);
  const server = await listen(upgradeSock, running);
  try {
    const outcome = await outcomeOf(running, server, timeoutMs);
    if ("upgraded" in outcome) return { pid: outcome.upgraded };
    throw upgradeError(`process ${running.pid} could not be upgraded and goes on: ${outcome.failed}`, running);
  } finally {
    server.close();
  }
}

/** Connections at a time: one for the outcome, some for others that ask whether an upgrade is under way. */
const mostConnections = 8;

/** How often the running process is looked at. */
const lookIntervalMs = 100;

/** What a process wrote just before it ended is read in this time. */
const lastWordsMs = 500;

async function listen(path: string, running: RunningProcess): Promise<Server> {
  const server = createServer();
  server.maxConnections = mostConnections;
  try {
    await removeStaleSocket(path);
    await bindForOwner(server, path);
    allow(running, path);
    return server;
  } catch (error) {
    server.close();
    const inUse = isInUse(error);
    const reason = inUse
      ? `another upgrade is under way: somebody listens on ${path}; try again when it has ended`
      : `cannot listen on ${path} for the outcome: ${error instanceof Error ? error.message : String(error)}; ` +
        "the setting upgradeSock has to name a path in a directory that you may write to";
    throw upgradeError(reason, running, error);
  }
}

/** The socket must not be open to all even for a moment: whoever connects can fake the outcome. */
async function bindForOwner(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.once("listening", resolve);
  const umask = process.umask(0o177);
  try {
    server.listen({ path, exclusive: true });
  } finally {
    process.umask(umask);
  }
  await promise;
  server.off("error", reject);
}

/** A server that has become another user has to be able to connect. Only root gets here then. */
function allow({ uid }: RunningProcess, path: string): void {
  if (uid !== undefined && uid !== 0 && process.geteuid?.() === 0) chownSync(path, uid, -1);
}

function isInUse(error: unknown): boolean {
  if (isCirqueError(error)) return error.context.systemCode === "EADDRINUSE";
  return error instanceof Error && "code" in error && error.code === "EADDRINUSE";
}

async function outcomeOf(running: RunningProcess, server: Server, timeoutMs: number): Promise<UpgradeOutcome> {
  const { promise, resolve, reject } = Promise.withResolvers<UpgradeOutcome>();
  const connections = new Set<Socket>();
  const fail = (message: string): void => reject(upgradeError(message, running));
  server.on("connection", (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    readLine(socket, (line) => {
      const outcome = parseUpgradeOutcome(line);
      if (outcome) resolve(outcome);
      else
        fail(
          `process ${running.pid} answered ${JSON.stringify(line.slice(0, 100))}, which says nothing about an upgrade`,
        );
    });
  });
  const tooLate = setTimeout(() => {
    fail(`process ${running.pid} was not upgraded within ${timeoutMs} ms; its log says how far it came`);
  }, timeoutMs);
  let lastWords: NodeJS.Timeout | undefined;
  const look = setInterval(() => {
    if (isRunning(running)) return;
    const ended = `process ${running.pid} ended before the upgrade was complete; its log says why`;
    lastWords ??= setTimeout(() => fail(ended), lastWordsMs);
  }, lookIntervalMs);
  try {
    signal(running);
    return await promise;
  } finally {
    clearTimeout(tooLate);
    clearTimeout(lastWords);
    clearInterval(look);
    for (const socket of connections) socket.destroy();
  }
}

/** It may have ended since it was found. */
function signal(running: RunningProcess): void {
  try {
    process.kill(running.pid, "SIGUSR2");
  } catch (error) {
    throw upgradeError(`process ${running.pid} could not be sent SIGUSR2`, running, error);
  }
}

/** Calls back with the first line, or with what came in its place. A connection without a word is left alone. */
function readLine(socket: Socket, onLine: (line: string) => void): void {
  let text = "";
  const finish = (): void => {
    socket.destroy();
    onLine(text.split("\n", 1)[0] ?? "");
  };
  socket.setEncoding("utf8");
  socket.on("error", () => {});
  socket.on("data", (data) => {
    text += data;
    if (text.includes("\n") || text.length > longestOutcomeBytes) finish();
  });
  socket.once("end", () => {
    if (text !== "" && !socket.destroyed) finish();
  });
}

function upgradeError(message: string, { pid }: RunningProcess, cause?: unknown): CirqueError {
  return CirqueError.internal("UpgradeError", message, { context: { pid }, ...(cause === undefined ? {} : { cause }) });
}
