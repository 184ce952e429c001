import type { Command } from "./child.ts";
import type { Ability, Mode } from "./scenario.ts";

/** Where a proxy listens, and where its requests go. */
export interface ProxySetup {
  /** Port of 127.0.0.1 to listen on. */
  readonly listenPort: number;
  /** Port of 127.0.0.1 that the origin listens on. */
  readonly originPort: number;
  /** An empty directory for this run, removed afterwards. */
  readonly directory: string;
  readonly mode: Mode;
  /** Name of a CPU profile to write, if one is wanted and the proxy can. */
  readonly profileName: string | undefined;
}

/** Whether a peer can run here. */
export type Presence = { readonly version: string } | { readonly missing: string };

/** A proxy that takes part: a file in `peers/`, listed in `peers/index.ts`. */
export interface Peer {
  /** Name on the command line. */
  readonly name: string;
  /** Threads or processes that serve traffic. */
  readonly workers: number;
  readonly abilities: readonly Ability[];
  readonly modes: readonly Mode[];
  /**
   * Installs or builds the proxy where that can be done without rights on the machine, and tells its
   * version, or what to do to get it.
   */
  prepare(): Promise<Presence>;
  /** The command that runs the proxy in the foreground. */
  command(setup: ProxySetup): Promise<Command>;
}
