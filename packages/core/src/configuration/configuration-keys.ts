import { z } from "zod";
import type { ServerConfiguration } from "./server-configuration.ts";

/** A setting by the name it has in code. */
export type ConfigurationKeyName = Exclude<keyof ServerConfiguration, "userSettings">;

/** One setting: its names, what it accepts, and its default. */
export interface ConfigurationKey {
  readonly name: ConfigurationKeyName;
  /** The key that Pingora's files use. */
  readonly alias: string;
  /** What a value under the alias is multiplied with: 1000 where the alias is in seconds. */
  readonly aliasFactor: number;
  readonly schema: z.ZodType;
  /** What the schema accepts, in words that complete "expected ...". */
  readonly expected: string;
  readonly default: unknown;
}

/** The longest delay a Node timer takes; beyond it, it would fire at once. */
const longestDelayMs = 2_147_483_647;

/** All settings, in the order of the reference (`CFG-01` to `CFG-28`). */
export const configurationKeys: readonly ConfigurationKey[] = [
  wholeNumber("version", "version", 1, 1, 1),
  flag("daemon", "daemon", false),
  text("errorLog", "error_log", "a path"),
  text("pidFile", "pid_file", "a path", "/tmp/cirque.pid"),
  text("upgradeSock", "upgrade_sock", "a path", "/tmp/cirque_upgrade.sock"),
  text("user", "user", "the name of a user"),
  text("group", "group", "the name of a group"),
  text("workingDirectory", "working_directory", "a path"),
  wholeNumber("threads", "threads", 1, 1, 1_024),
  wholeNumber("listenerTasksPerFd", "listener_tasks_per_fd", 1, 1, 1_024),
  flag("workStealing", "work_stealing", true),
  text("caFile", "ca_file", "a path"),
  duration("gracePeriodMs", "grace_period_seconds", 30_000),
  duration("gracefulShutdownTimeoutMs", "graceful_shutdown_timeout_seconds", 5_000),
  addresses("clientBindToIpv4", "client_bind_to_ipv4", z.ipv4(), "an IPv4 address"),
  addresses("clientBindToIpv6", "client_bind_to_ipv6", z.ipv6(), "an IPv6 address"),
  wholeNumber("upstreamKeepalivePoolSize", "upstream_keepalive_pool_size", 128, 0, 1_000_000),
  wholeNumber("upstreamConnectOffloadThreadpools", "upstream_connect_offload_threadpools", undefined, 0, 65_535),
  wholeNumber("upstreamConnectOffloadThreadPerPool", "upstream_connect_offload_thread_per_pool", undefined, 0, 65_535),
  flag("upstreamDebugSslKeylog", "upstream_debug_ssl_keylog", false),
  wholeNumber("maxRetries", "max_retries", 3, 1, 255),
  wholeNumber("upgradeSockConnectAcceptMaxRetries", "upgrade_sock_connect_accept_max_retries", undefined, 0, 1_000_000),
  wholeNumber("maxBlockingThreads", "max_blocking_threads", undefined, 1, 65_535),
  duration("blockingThreadsTtlMs", "blocking_threads_ttl_seconds"),
  flag("daemonWaitForReady", "daemon_wait_for_ready", false),
  duration("daemonReadyTimeoutMs", "daemon_ready_timeout_seconds", 600_000),
  duration("daemonNotifyTimeoutMs", "daemon_notify_timeout_seconds", 60_000),
  wholeNumber("s2nConfigCacheSize", "s2n_config_cache_size", undefined, 0, 1_000_000),
];

/** Why a value is not acceptable: what was expected there, and where inside the value the fault lies. */
export interface ValueProblem {
  readonly expected: string;
  readonly path: readonly (string | number)[];
}

/**
 * Why the setting does not accept the value, if it does not. `factor` is what the value will be multiplied with.
 * `undefined` and, for settings that may be unset, `null` were left out before.
 */
export function checkValue(key: ConfigurationKey, value: unknown, factor: number): ValueProblem | undefined {
  const { schema, expected } = factor === 1 ? key : secondsUpTo(Math.floor(longestDelayMs / factor));
  const issue = schema.safeParse(value).error?.issues[0];
  if (!issue) return undefined;
  const path = issue.path.filter((step) => typeof step !== "symbol");
  return { expected: path.length > 0 ? expected.replace(/^a list, each /, "") : expected, path };
}

/** What a value under a name or alias stands for: seconds become milliseconds, lists are copied and frozen. */
export function storedValue(value: unknown, factor: number): unknown {
  if (Array.isArray(value)) return Object.freeze([...value]);
  return factor !== 1 && typeof value === "number" ? value * factor : value;
}

function flag(name: ConfigurationKeyName, alias: string, initial: boolean): ConfigurationKey {
  return { name, alias, aliasFactor: 1, schema: z.boolean(), expected: "true or false", default: initial };
}

function text(name: ConfigurationKeyName, alias: string, expected: string, initial?: string): ConfigurationKey {
  // A NUL would end the text early wherever the system reads it.
  const schema = z
    .string()
    .min(1)
    .regex(/^[^\0]*$/);
  return { name, alias, aliasFactor: 1, schema, expected, default: initial };
}

function wholeNumber(
  name: ConfigurationKeyName,
  alias: string,
  initial: number | undefined,
  lowest: number,
  highest: number,
): ConfigurationKey {
  const schema = z.int().min(lowest).max(highest);
  return { name, alias, aliasFactor: 1, schema, expected: wholeNumberIn(lowest, highest), default: initial };
}

function duration(name: ConfigurationKeyName, alias: string, initial?: number): ConfigurationKey {
  const schema = z.int().min(0).max(longestDelayMs);
  const expected = wholeNumberIn(0, longestDelayMs, "milliseconds");
  return { name, alias, aliasFactor: 1_000, schema, expected, default: initial };
}

function secondsUpTo(highest: number): { readonly schema: z.ZodType; readonly expected: string } {
  return { schema: z.int().min(0).max(highest), expected: wholeNumberIn(0, highest, "seconds") };
}

function addresses(name: ConfigurationKeyName, alias: string, item: z.ZodType, expected: string): ConfigurationKey {
  const schema = z.array(item).max(65_536);
  return { name, alias, aliasFactor: 1, schema, expected: `a list, each ${expected}`, default: Object.freeze([]) };
}

function wholeNumberIn(lowest: number, highest: number, unit?: string): string {
  if (lowest === highest) return `the number ${lowest}`;
  const what = unit === undefined ? "a whole number" : `a whole number of ${unit}`;
  return `${what} from ${lowest} to ${highest}`;
}
