import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import { requestUpgrade } from "./upgrade-request.ts";

/**
 * What a program does that was called with `-u`: asks the running server, which its pid file names, to replace itself, and
 * prints how that went (`CLI-01`).
 *
 * @throws CirqueError `UpgradeError`, see `requestUpgrade`.
 */
export async function askForUpgrade(configuration: ServerConfiguration): Promise<void> {
  const { pidFile, upgradeSock, daemonReadyTimeoutMs } = configuration;
  // Longer than the running server waits for the new process, so that its reason is heard.
  const timeoutMs = daemonReadyTimeoutMs + 15_000;
  const { pid } = await requestUpgrade({ pidFile, upgradeSock, timeoutMs });
  process.stdout.write(`upgraded: process ${pid} serves\n`);
}
