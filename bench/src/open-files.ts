import { execFileSync } from "node:child_process";

/** How many files a process may have open at most. */
export function openFilesLimit(): number {
  const limit = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
  return limit === "unlimited" ? 1_048_576 : Number(limit);
}
