import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Peer } from "../peer.ts";
import { runToEnd, versionOf } from "./run-to-end.ts";

const folder = new URL("../../peers/pingora/", import.meta.url);
const binary = fileURLToPath(new URL("target/release/cirque-bench-pingora", folder));

/** Pingora in the small program of `bench/peers/pingora/`, built with cargo when it is needed. */
export const pingora: Peer = {
  name: "pingora",
  workers: 1,
  abilities: ["websocket"],
  modes: ["http"],

  async prepare() {
    const cargo = await versionOf("cargo", ["--version"], /cargo (\S+)/);
    if (cargo === undefined) return { missing: "install a current stable Rust with cargo, a C compiler and cmake" };
    try {
      // Does nothing when all is built.
      await runToEnd("cargo", ["build", "--release", "--locked", "--quiet"], fileURLToPath(folder));
    } catch (error) {
      const reason = error instanceof Error ? error.message.slice(0, 500) : String(error);
      return { missing: `"cargo build --release" in bench/peers/pingora fails here: ${reason}` };
    }
    return { version: await lockedVersion() };
  },

  async command({ listenPort, originPort }) {
    // SIGTERM begins a graceful end, which takes Pingora several seconds.
    return { program: binary, arguments: [String(listenPort), String(originPort)], stopSignal: "SIGINT" };
  },
};

async function lockedVersion(): Promise<string> {
  const lock = await readFile(new URL("Cargo.lock", folder), "utf8");
  const version = /name = "pingora"\nversion = "([^"]+)"/.exec(lock)?.[1];
  if (version === undefined) throw new Error("bench/peers/pingora/Cargo.lock names no version of pingora");
  return version;
}
