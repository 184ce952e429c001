import { ConfigurationError, type ConfigurationProblem, describeValue } from "./configuration-error.ts";
import { checkValue, configurationKeys, storedValue } from "./configuration-keys.ts";
import { nearestKey } from "./near-miss.ts";
import type { ServerConfiguration } from "./server-configuration.ts";

/** Settings given in code; what is left out or `undefined` takes its default. */
export type PartialConfiguration = { readonly [K in keyof ServerConfiguration]?: ServerConfiguration[K] | undefined };

/**
 * A complete configuration from settings given in code.
 *
 * @throws ConfigurationError that names each setting that is unknown or has a value that is not acceptable.
 */
export function createConfiguration(settings: PartialConfiguration = {}): ServerConfiguration {
  const problems: ConfigurationProblem[] = [];
  const values: Record<string, unknown> = {};
  for (const key of configurationKeys) {
    const value = settings[key.name];
    if (value === undefined) continue;
    const problem = checkValue(key, value, 1);
    if (problem) problems.push(describeProblem(key.name, value, problem));
    else values[key.name] = storedValue(value, 1);
  }
  for (const name of Object.keys(settings)) {
    if (name === "userSettings" || configurationKeys.some((key) => key.name === name)) continue;
    const meant = nearestKey(name);
    problems.push({ key: name, reason: meant ? `unknown setting; did you mean ${meant}?` : "unknown setting" });
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return completeConfiguration(values, settings.userSettings);
}

/** Checked values with defaults for those that are missing, frozen. */
export function completeConfiguration(
  values: Readonly<Record<string, unknown>>,
  userSettings: Readonly<Record<string, unknown>> = {},
): ServerConfiguration {
  const entries = configurationKeys.map((key) => [key.name, values[key.name] ?? key.default]);
  // Every key of ServerConfiguration has an entry in the table, with a value that its schema accepted or its default.
  return Object.freeze({ ...Object.fromEntries(entries), userSettings: Object.freeze({ ...userSettings }) });
}

function describeProblem(
  name: string,
  value: unknown,
  { expected, path }: { readonly expected: string; readonly path: readonly (string | number)[] },
): ConfigurationProblem {
  const found = path.reduce<unknown>((inner, step) => Object(inner)[step], value);
  const key = name + path.map((step) => `[${step}]`).join("");
  return { key, reason: `expected ${expected}, found ${describeValue(found)}` };
}
