import type { ServerConfiguration } from "../configuration/server-configuration.ts";
import type { ReloadAnswer, Service } from "../services/service.ts";

/** Looks at new settings: throws to refuse them, and returns what applies them. */
export type ReloadListener = (configuration: ServerConfiguration) => ReloadAnswer | Promise<ReloadAnswer>;

/**
 * Asks all whether they can take the new settings.
 *
 * @returns what applies them everywhere.
 * @throws what the first that refuses them throws; nothing has changed then.
 */
export async function prepareReload(
  services: readonly Service[],
  listeners: Iterable<ReloadListener>,
  configuration: ServerConfiguration,
): Promise<() => void> {
  const all = [...services.map((service) => service.reload?.bind(service)), ...listeners];
  const prepared = await Promise.all(all.map(async (prepare) => prepare?.(configuration)));
  return () => {
    for (const commit of prepared) commit?.();
  };
}

/** Settings that are looked at only when a process starts. */
const fixedSettings = [
  "daemon",
  "errorLog",
  "pidFile",
  "user",
  "group",
  "workingDirectory",
  "threads",
  "upgradeSock",
] as const satisfies readonly (keyof ServerConfiguration)[];

/** The settings that have changed and need an upgrade to take effect. */
export function needUpgrade(before: ServerConfiguration, after: ServerConfiguration): readonly string[] {
  return fixedSettings.filter((key) => before[key] !== after[key]);
}
