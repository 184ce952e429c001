import { describe, expect, it } from "vitest";
import { ConfigurationError } from "./configuration-error.ts";
import { createConfiguration, type PartialConfiguration } from "./create-configuration.ts";
import { formatConfiguration } from "./format-configuration.ts";
import { parseConfiguration } from "./parse-configuration.ts";

describe("createConfiguration", () => {
  it("has the documented defaults", () => {
    expect(createConfiguration()).toEqual({
      version: 1,
      daemon: false,
      errorLog: undefined,
      pidFile: "/tmp/cirque.pid",
      upgradeSock: "/tmp/cirque_upgrade.sock",
      user: undefined,
      group: undefined,
      workingDirectory: undefined,
      threads: 1,
      listenerTasksPerFd: 1,
      workStealing: true,
      caFile: undefined,
      gracePeriodMs: 30_000,
      gracefulShutdownTimeoutMs: 5_000,
      clientBindToIpv4: [],
      clientBindToIpv6: [],
      upstreamKeepalivePoolSize: 128,
      upstreamConnectOffloadThreadpools: undefined,
      upstreamConnectOffloadThreadPerPool: undefined,
      upstreamDebugSslKeylog: false,
      maxRetries: 3,
      upgradeSockConnectAcceptMaxRetries: undefined,
      maxBlockingThreads: undefined,
      blockingThreadsTtlMs: undefined,
      daemonWaitForReady: false,
      daemonReadyTimeoutMs: 600_000,
      daemonNotifyTimeoutMs: 60_000,
      s2nConfigCacheSize: undefined,
      userSettings: {},
    });
  });

  it("cannot be changed, and does not share lists with the caller", () => {
    const clientBindToIpv4 = ["127.0.0.1"];
    const configuration = createConfiguration({ clientBindToIpv4 });
    clientBindToIpv4.push("127.0.0.2");
    expect(configuration.clientBindToIpv4).toEqual(["127.0.0.1"]);
    expect(Object.isFrozen(configuration)).toBe(true);
    expect(Object.isFrozen(configuration.clientBindToIpv4)).toBe(true);
    expect(Object.isFrozen(configuration.userSettings)).toBe(true);
  });

  it("takes the default for what is undefined", () => {
    expect(createConfiguration({ threads: undefined, pidFile: undefined })).toEqual(createConfiguration());
  });

  it("names every setting that is wrong", () => {
    const settings = {
      threads: 1.5,
      gracePeriodMs: Number.NaN,
      clientBindToIpv4: ["::1"],
      pidFile: "a\0b",
      thread: 1,
      zzzz: 1,
    };
    expect(() => createConfiguration(settings as unknown as PartialConfiguration)).toThrow(
      new ConfigurationError([
        { key: "pidFile", reason: 'expected a path, found "a\\u0000b"' },
        { key: "threads", reason: "expected a whole number from 1 to 1024, found 1.5" },
        { key: "gracePeriodMs", reason: "expected a whole number of milliseconds from 0 to 2147483647, found NaN" },
        { key: "clientBindToIpv4[0]", reason: 'expected an IPv4 address, found "::1"' },
        { key: "thread", reason: "unknown setting; did you mean threads?" },
        { key: "zzzz", reason: "unknown setting" },
      ]),
    );
  });
});

describe("formatConfiguration", () => {
  it("writes what parseConfiguration reads back", () => {
    const configuration = createConfiguration({
      user: "nobody",
      gracePeriodMs: 1,
      clientBindToIpv6: ["::1"],
      userSettings: { routes: [{ match: { path: "/*" } }] },
    });
    expect(parseConfiguration(formatConfiguration(configuration)).configuration).toEqual(configuration);
  });
});
