import { connect } from "node:net";

/** How an upgrade ended: with a new process that serves, or with the old one going on, and why. */
export type UpgradeOutcome = { readonly upgraded: number } | { readonly failed: string };

/**
 * Tells whoever asked for the upgrade, if somebody listens on the socket `upgradeSock` for it. An upgrade that was asked
 * for by a signal alone has no such listener, and a listener that does not read is left after the deadline.
 *
 * Never rejects.
 */
export async function reportUpgradeOutcome(
  upgradeSock: string,
  outcome: UpgradeOutcome,
  deadlineMs = 1_000,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  try {
    const socket = connect({ path: upgradeSock });
    const timer = setTimeout(() => socket.destroy(), deadlineMs);
    socket.on("error", () => {});
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume().end(formatUpgradeOutcome(outcome));
  } catch {
    // A path that no socket can have, or no descriptor left.
    resolve();
  }
  await promise;
}

/** One line, `upgraded PID` or `failed "REASON"`. */
export function formatUpgradeOutcome(outcome: UpgradeOutcome): string {
  if ("upgraded" in outcome) return `upgraded ${outcome.upgraded}\n`;
  return `failed ${JSON.stringify(outcome.failed.slice(0, longestReason))}\n`;
}

/** Undefined when the line is no outcome. */
export function parseUpgradeOutcome(line: string): UpgradeOutcome | undefined {
  const pid = /^upgraded ([1-9][0-9]{0,9})$/.exec(line)?.[1];
  if (pid !== undefined) return { upgraded: Number(pid) };
  if (!line.startsWith("failed ")) return undefined;
  try {
    const failed: unknown = JSON.parse(line.slice("failed ".length));
    return typeof failed === "string" ? { failed } : undefined;
  } catch {
    return undefined;
  }
}

/** Characters of a reason. */
const longestReason = 8_000;

/** No outcome is longer, with every character escaped. */
export const longestOutcomeBytes: number = 64 * 1024;
