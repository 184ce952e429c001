import { stringify } from "yaml";
import { configurationKeys } from "./configuration-keys.ts";
import type { ServerConfiguration } from "./server-configuration.ts";

/** The configuration as the text of a YAML file; what is unset is left out, and the settings of the user come last. */
export function formatConfiguration(configuration: ServerConfiguration): string {
  const known = configurationKeys
    .filter(({ name }) => configuration[name] !== undefined)
    .map(({ name }) => [name, configuration[name]]);
  return stringify({ ...Object.fromEntries(known), ...configuration.userSettings });
}
