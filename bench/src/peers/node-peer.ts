import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Peer } from "../peer.ts";
import type { Ability } from "../scenario.ts";
import { runToEnd } from "./run-to-end.ts";

const folder = new URL("../../peers/node/", import.meta.url);

/** A proxy library of npm, run by a program of `bench/peers/node/` on the Node that runs the benchmarks. */
export function nodePeer(packageName: string, program: string, abilities: readonly Ability[]): Peer {
  return {
    name: packageName,
    workers: 1,
    abilities,
    modes: ["http"],

    async prepare() {
      const manifest = new URL(`node_modules/${packageName}/package.json`, folder);
      if (!existsSync(manifest)) {
        try {
          await runToEnd("npm", ["ci", "--no-audit", "--no-fund"], fileURLToPath(folder));
        } catch (error) {
          return { missing: `run "npm ci" in bench/peers/node, which failed here: ${firstLine(error)}` };
        }
      }
      const { version }: { version: string } = JSON.parse(await readFile(manifest, "utf8"));
      return { version };
    },

    async command({ listenPort, originPort }) {
      const file = fileURLToPath(new URL(program, folder));
      return { program: process.execPath, arguments: [file, String(listenPort), String(originPort)] };
    },
  };
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error)
    .trim()
    .split("\n")
    .slice(0, 3)
    .join(" ");
}
