import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Peer } from "../peer.ts";

const program = fileURLToPath(new URL("../../peers/cirque/proxy.ts", import.meta.url));
const built = new URL("../../../packages/proxy/dist/index.js", import.meta.url);
const manifest = new URL("../../../packages/proxy/package.json", import.meta.url);
const profiles = fileURLToPath(new URL("../../results/profiles/", import.meta.url));

/** As `docs/guide/performance.md` tells users to start it. The other Node proxies gain nothing by it. */
const recommendedOptions = ["--max-semi-space-size=2"];

/** Cirque as it is built in this repository, with the program of `bench/peers/cirque/`. */
export const cirque: Peer = {
  name: "cirque",
  abilities: ["websocket"],
  modes: ["http"],

  async prepare() {
    if (!existsSync(built)) return { missing: 'build it first, with "npm run build"' };
    const { version }: { version: string } = JSON.parse(await readFile(manifest, "utf8"));
    return { version };
  },

  async command({ listenPort, originPort, profileName }) {
    const profiling =
      profileName === undefined
        ? []
        : ["--cpu-prof", "--cpu-prof-dir", profiles, "--cpu-prof-name", `${profileName}.cpuprofile`];
    const ports = [String(listenPort), String(originPort)];
    return { program: process.execPath, arguments: [...recommendedOptions, ...profiling, program, ...ports] };
  },
};
