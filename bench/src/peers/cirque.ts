import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Peer } from "../peer.ts";

const programs = {
  http: fileURLToPath(new URL("../../peers/cirque/proxy.ts", import.meta.url)),
  tcp: fileURLToPath(new URL("../../peers/cirque/tcp-proxy.ts", import.meta.url)),
  udp: fileURLToPath(new URL("../../peers/cirque/udp-proxy.ts", import.meta.url)),
};
const built = ["proxy", "l4"].map((name) => new URL(`../../../packages/${name}/dist/index.js`, import.meta.url));
const manifest = new URL("../../../packages/proxy/package.json", import.meta.url);
const profiles = fileURLToPath(new URL("../../results/profiles/", import.meta.url));

/** As `docs/guide/performance.md` tells users to start it. The other Node proxies gain nothing by it. */
const recommendedOptions = ["--max-semi-space-size=2"];

/** Cirque as it is built in this repository, with the programs of `bench/peers/cirque/`. */
export const cirque: Peer = cirqueWith("cirque", 1);

/** Cirque with two data threads. */
export const cirqueWithTwoThreads: Peer = cirqueWith("cirque-2", 2);

function cirqueWith(name: string, threads: number): Peer {
  return {
    name,
    workers: threads,
    abilities: ["websocket"],
    modes: threads === 1 ? ["http", "tcp", "udp"] : ["http"],

    async prepare() {
      if (!built.every((file) => existsSync(file))) return { missing: 'build it first, with "npm run build"' };
      const { version }: { version: string } = JSON.parse(await readFile(manifest, "utf8"));
      return { version };
    },

    async command({ mode, listenPort, originPort, profileName }) {
      const numbers = [listenPort, originPort, ...(threads === 1 ? [] : [threads])].map(String);
      return {
        program: process.execPath,
        arguments: [...recommendedOptions, ...profiling(profileName, threads), programs[mode], ...numbers],
        // Each data thread has a socket of its own at the port.
        listeningSockets: threads,
      };
    },
  };
}

/** Options for a profile. Each thread writes one of its own, so with several of them Node has to make the names. */
function profiling(name: string | undefined, threads: number): readonly string[] {
  if (name === undefined) return [];
  const options = ["--cpu-prof", "--cpu-prof-dir", profiles];
  return threads === 1 ? [...options, "--cpu-prof-name", `${name}.cpuprofile`] : options;
}
