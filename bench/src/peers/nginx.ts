import { join } from "node:path";
import { openFilesLimit } from "../open-files.ts";
import type { Peer } from "../peer.ts";
import { versionOf } from "./run-to-end.ts";
import { fillTemplate } from "./template.ts";

/** nginx of the distribution, with the configuration of `bench/peers/nginx/`. */
export const nginx: Peer = nginxWith("nginx", 1);

/** nginx with two workers. */
export const nginxWithTwoWorkers: Peer = nginxWith("nginx-2", 2);

function nginxWith(name: string, workers: number): Peer {
  return {
    name,
    workers,
    abilities: ["websocket"],
    modes: workers === 1 ? ["http", "tcp", "udp"] : ["http"],

    async prepare() {
      const version = await versionOf("nginx", ["-v"], /nginx\/(\S+)/);
      return version ? { version } : { missing: "run bench/install-peers.sh as root" };
    },

    async command({ directory, mode, listenPort, originPort }) {
      const configuration = join(directory, "nginx.conf");
      await fillTemplate(new URL(`../../peers/nginx/${mode}.conf`, import.meta.url), configuration, {
        DIRECTORY: directory,
        LISTEN_PORT: listenPort,
        ORIGIN_PORT: originPort,
        OPEN_FILES: openFilesLimit(),
        WORKERS: workers,
      });
      const words = ["-p", directory, "-e", "stderr", "-c", configuration];
      return { program: "nginx", arguments: words, listeningSockets: workers };
    },
  };
}
