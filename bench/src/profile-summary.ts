/** Prints where the CPU time of a profile went: `node bench/src/profile-summary.ts FILE [ROWS]`. */
import { readFileSync } from "node:fs";
import { type CpuProfile, summarizeProfile } from "./cpu-profile.ts";

const [file, rows = "40"] = process.argv.slice(2);

if (file === undefined || !/^\d+$/.test(rows)) {
  console.error("Usage: node bench/src/profile-summary.ts FILE.cpuprofile [ROWS]");
  process.exitCode = 2;
} else {
  const profile: CpuProfile = JSON.parse(readFileSync(file, "utf8"));
  const { functions, groups, activeMicros } = summarizeProfile(profile);
  const line = (micros: number, text: string): string =>
    `${((100 * micros) / activeMicros).toFixed(1).padStart(6)} %  ${text}`;

  console.log(`${(activeMicros / 1_000_000).toFixed(2)} s of CPU time, without idle\n`);
  for (const { group, micros } of groups) if (group !== "(idle)") console.log(line(micros, group));
  console.log("\nSelf time:\n");
  for (const { name, place, group, micros } of functions
    .filter((entry) => entry.group !== "(idle)")
    .slice(0, Number(rows))) {
    console.log(line(micros, `${name}  ${place || `[${group}]`}`));
  }
}
