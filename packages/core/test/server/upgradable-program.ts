import { writeFileSync } from "node:fs";
import { reportUpgradeOutcome } from "../../src/server/upgrade-outcome.ts";

// Stands for a running server: it writes its pid file, and says "running". On SIGUSR2 it reports OUTCOME, a JSON text,
// or, without one, says "asked" and does nothing; with END it ends then. With BECOME it runs as that user.
const { PID_FILE = "", UPGRADE_SOCK = "", OUTCOME, END, BECOME } = process.env;
process.on("SIGUSR2", () => {
  void answer();
});
writeFileSync(PID_FILE, `${process.pid}\n`);
if (BECOME) process.setuid?.(BECOME);
setInterval(() => {}, 60_000);
console.log("running");

async function answer(): Promise<void> {
  if (OUTCOME) await reportUpgradeOutcome(UPGRADE_SOCK, JSON.parse(OUTCOME));
  console.log("asked");
  if (END) process.exit(0);
}
