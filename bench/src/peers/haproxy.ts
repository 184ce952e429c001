import { join } from "node:path";
import { openFilesLimit } from "../open-files.ts";
import type { Peer } from "../peer.ts";
import { versionOf } from "./run-to-end.ts";
import { fillTemplate } from "./template.ts";

/** HAProxy of the distribution, with the configuration of `bench/peers/haproxy/`. */
export const haproxy: Peer = haproxyWith("haproxy", 1);

/** HAProxy with two threads. */
export const haproxyWithTwoThreads: Peer = haproxyWith("haproxy-2", 2);

function haproxyWith(name: string, threads: number): Peer {
  return {
    name,
    workers: threads,
    abilities: ["websocket"],
    modes: threads === 1 ? ["http", "tcp"] : ["http"],

    async prepare() {
      const version = await versionOf("haproxy", ["-v"], /version (\d[\d.]*)/);
      return version ? { version } : { missing: "run bench/install-peers.sh as root" };
    },

    async command({ directory, mode, listenPort, originPort }) {
      const configuration = join(directory, "haproxy.cfg");
      await fillTemplate(new URL(`../../peers/haproxy/${mode}.cfg`, import.meta.url), configuration, {
        LISTEN_PORT: listenPort,
        ORIGIN_PORT: originPort,
        THREADS: threads,
        // HAProxy needs two descriptors for each connection, and a few for itself.
        CONNECTIONS: Math.min(50_000, Math.floor(openFilesLimit() / 2) - 100),
      });
      return { program: "haproxy", arguments: ["-db", "-f", configuration], listeningSockets: threads };
    },
  };
}
