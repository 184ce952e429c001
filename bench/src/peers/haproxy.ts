import { join } from "node:path";
import { openFilesLimit } from "../open-files.ts";
import type { Peer } from "../peer.ts";
import { versionOf } from "./run-to-end.ts";
import { fillTemplate } from "./template.ts";

/** HAProxy of the distribution, with the configuration of `bench/peers/haproxy/`. */
export const haproxy: Peer = {
  name: "haproxy",
  abilities: ["websocket"],
  modes: ["http", "tcp"],

  async prepare() {
    const version = await versionOf("haproxy", ["-v"], /version (\d[\d.]*)/);
    return version ? { version } : { missing: "run bench/install-peers.sh as root" };
  },

  async command({ directory, mode, listenPort, originPort }) {
    const configuration = join(directory, "haproxy.cfg");
    await fillTemplate(new URL(`../../peers/haproxy/${mode}.cfg`, import.meta.url), configuration, {
      LISTEN_PORT: listenPort,
      ORIGIN_PORT: originPort,
      // HAProxy needs two descriptors for each connection, and a few for itself.
      CONNECTIONS: Math.min(50_000, Math.floor(openFilesLimit() / 2) - 100),
    });
    return { program: "haproxy", arguments: ["-db", "-f", configuration] };
  },
};
