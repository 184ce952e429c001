import { parseSocketAddress, type ServerConfiguration } from "@cirque/core";

/** The section `dnsProxy` of the configuration file: a program keeps settings of its own there. */
export interface Settings {
  /** Where the proxy listens, for UDP and TCP. Default: `127.0.0.1:5300`. */
  readonly address: string;
  /** The resolvers to ask. Default: two that the program starts itself. */
  readonly resolvers: readonly string[];
  /** The port of the first resolver that the program starts; the second one has the next. Default: 5301. */
  readonly demoPort: number;
}

/** Reads the section; when it is not valid, says why on the standard error and ends the program with exit code 1. */
export function settingsOrExit(configuration: ServerConfiguration): Settings {
  try {
    return readSettings(configuration.userSettings.dnsProxy);
  } catch (error) {
    process.stderr.write(`dnsProxy: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** @throws Error that says what was expected. */
export function readSettings(section: unknown = {}): Settings {
  if (typeof section !== "object" || section === null || Array.isArray(section)) {
    throw new Error("expected a map with address, resolvers and demoPort");
  }
  const {
    address = "127.0.0.1:5300",
    resolvers = [],
    demoPort = 5_301,
    ...unknown
  } = section as Record<string, unknown>;
  const [unknownKey] = Object.keys(unknown);
  if (unknownKey !== undefined) throw new Error(`${unknownKey} is not known; expected address, resolvers or demoPort`);
  if (!Array.isArray(resolvers)) throw new Error("resolvers has to be a list of addresses, such as [10.0.0.2:53]");
  if (!Number.isInteger(demoPort) || Number(demoPort) < 1 || Number(demoPort) > 65_534) {
    throw new Error(`demoPort has to be a whole number from 1 to 65534, and is ${String(demoPort)}`);
  }
  return { address: checked(address), resolvers: resolvers.map(checked), demoPort: Number(demoPort) };
}

function checked(value: unknown): string {
  const text = String(value);
  parseSocketAddress(text);
  return text;
}
