import { parseSocketAddress, type ServerConfiguration } from "@cirque/core";

/** The section `quickStart` of the configuration file: a program keeps settings of its own there. */
export interface Settings {
  /** Where the balancer listens. Default: `127.0.0.1:6188`. */
  readonly address: string;
  /** Where the metrics are. Default: `127.0.0.1:6192`. */
  readonly metricsAddress: string;
  /**
   * The port that stops and starts origins; the origins have the next three. 0 takes any that are free. Default: 9000.
   */
  readonly originPort: number;
}

/** Reads the section; when it is not valid, says why on the standard error and ends the program with exit code 1. */
export function settingsOrExit(configuration: ServerConfiguration): Settings {
  try {
    return readSettings(configuration.userSettings.quickStart);
  } catch (error) {
    process.stderr.write(`quickStart: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** @throws Error that says what was expected. */
export function readSettings(section: unknown = {}): Settings {
  if (typeof section !== "object" || section === null || Array.isArray(section)) {
    throw new Error("expected a map with address, metricsAddress and originPort");
  }
  const {
    address = "127.0.0.1:6188",
    metricsAddress = "127.0.0.1:6192",
    originPort = 9_000,
    ...unknown
  } = section as Record<string, unknown>;
  const [unknownKey] = Object.keys(unknown);
  if (unknownKey !== undefined) {
    throw new Error(`${unknownKey} is not known; expected address, metricsAddress or originPort`);
  }
  return {
    address: listenAddress(address),
    metricsAddress: listenAddress(metricsAddress),
    originPort: port(originPort),
  };
}

function listenAddress(value: unknown): string {
  const text = String(value);
  parseSocketAddress(text, { allowPortZero: true });
  return text;
}

function port(value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= largestPort) return value;
  throw new Error(`originPort has to be a whole number from 0 to ${largestPort}, and is ${String(value)}`);
}

/** Three ports more are needed. */
const largestPort = 65_535 - 3;
