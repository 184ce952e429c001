import { describe, expect, it } from "vitest";
import { Backend } from "./backend.ts";

describe("Backend", () => {
  it("has weight 1 and no data unless told", () => {
    const backend = new Backend("127.0.0.1:80");
    expect(backend).toMatchObject({ address: "127.0.0.1:80", weight: 1, ext: undefined });
    expect(Object.isFrozen(backend)).toBe(true);
  });

  it("keeps weight and data", () => {
    const backend = new Backend("[::1]:443", { weight: 65_535, ext: { sni: "one.one.one.one" } });
    expect(backend.weight).toBe(65_535);
    expect(backend.ext?.sni).toBe("one.one.one.one");
  });

  it("has one spelling of a Unix socket", () => {
    expect(new Backend("/run/x.sock").address).toBe("unix:/run/x.sock");
  });

  it("is equal by address and weight, whatever its data", () => {
    const backend = new Backend("127.0.0.1:80", { weight: 2, ext: 1 });
    expect(backend.equals(new Backend("127.0.0.1:80", { weight: 2, ext: 2 }))).toBe(true);
    expect(backend.equals(new Backend("127.0.0.1:80"))).toBe(false);
    expect(backend.equals(new Backend("127.0.0.1:81", { weight: 2 }))).toBe(false);
  });

  it.each([-1, 0.5, 65_536, Number.NaN, Number.POSITIVE_INFINITY, "2" as unknown as number])(
    "refuses weight %s",
    (weight) => {
      expect(() => new Backend("127.0.0.1:80", { weight })).toThrow(
        expect.objectContaining({ code: "InvalidArgument", message: expect.stringContaining("from 0 to 65535") }),
      );
    },
  );

  it.each(["", "127.0.0.1", "127.0.0.1:0", "::1:80", "http://127.0.0.1:80"])("refuses the address %j", (address) => {
    expect(() => new Backend(address)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});
