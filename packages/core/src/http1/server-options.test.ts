import { describe, expect, it } from "vitest";
import { type Http1ServerOptions, resolveServerOptions } from "./server-options.ts";

describe("the options of HTTP/1.1 connections with clients", () => {
  it("have the documented defaults", () => {
    expect(resolveServerOptions()).toEqual({
      limits: {},
      firstByteTimeoutMs: 10_000,
      headTimeoutMs: 10_000,
      headTotalTimeoutMs: 20_000,
      bodyTimeoutMs: 30_000,
      minimumBodyRate: 100,
      writeTimeoutMs: 60_000,
      keepAliveTimeoutMs: 75_000,
      lastRequestTimeoutMs: 1_000,
      maxRequestsPerConnection: 10_000,
      allowConnect: false,
      drainBytes: 64 * 1024,
      drainTimeoutMs: 5_000,
      abortOnClose: true,
    });
  });

  it("keep the default where one is undefined, and take what is given", () => {
    const options = { headTimeoutMs: undefined, writeTimeoutMs: 5, bodyTimeoutMs: Number.POSITIVE_INFINITY };
    expect(resolveServerOptions(options as unknown as Http1ServerOptions)).toEqual({
      ...resolveServerOptions(),
      writeTimeoutMs: 5,
      bodyTimeoutMs: Number.POSITIVE_INFINITY,
    });
  });

  it.each([
    ["headTimeoutMs", -1, "a number, 0 or more"],
    ["writeTimeoutMs", Number.NaN, "a number, 0 or more"],
    ["drainBytes", "64k", "a number, 0 or more"],
    ["abortOnClose", "no", "true or false"],
  ])("refuse %s: %j", (name, value, expected) => {
    expect(() => resolveServerOptions({ [name]: value })).toThrow(
      expect.objectContaining({ code: "InvalidArgument", message: expect.stringMatching(`${name} is .*${expected}`) }),
    );
  });

  it("refuse a limit that would bound nothing, before there is a client", () => {
    expect(() => resolveServerOptions({ limits: { headBytes: 0 } })).toThrow(/headBytes/);
  });
});
