import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatSocketAddress, isUnixAddress, parseSocketAddress } from "./socket-address.ts";

describe("parseSocketAddress", () => {
  it.each([
    ["1.2.3.4:80", { host: "1.2.3.4", port: 80 }],
    ["[::1]:65535", { host: "::1", port: 65_535 }],
    ["[fe80::1%lo]:1", { host: "fe80::1%lo", port: 1 }],
    ["localhost:80", { host: "localhost", port: 80 }],
    ["one.one.one.one:443", { host: "one.one.one.one", port: 443 }],
    ["example.com.:443", { host: "example.com.", port: 443 }],
    ["my_service-1:8080", { host: "my_service-1", port: 8_080 }],
    ["unix:/run/x.sock", { path: "/run/x.sock" }],
    ["unix:relative.sock", { path: "relative.sock" }],
    ["/run/x.sock", { path: "/run/x.sock" }],
  ])("reads %s", (text, expected) => {
    const address = parseSocketAddress(text);
    expect(address).toEqual(expected);
    expect(Object.isFrozen(address)).toBe(true);
    expect(isUnixAddress(address)).toBe("path" in expected);
  });

  it("accepts port 0 only where it was allowed", () => {
    expect(parseSocketAddress("127.0.0.1:0", { allowPortZero: true })).toEqual({ host: "127.0.0.1", port: 0 });
    expect(() => parseSocketAddress("127.0.0.1:0")).toThrow('the port has to be a number from 1 to 65535, and is "0"');
  });

  it.each([
    ["", "the port is missing"],
    ["localhost", "the port is missing"],
    ["localhost:", 'the port has to be a number from 1 to 65535, and is ""'],
    ["localhost:65536", 'and is "65536"'],
    ["localhost:080000", 'and is "080000"'],
    ["localhost:+80", 'and is "+80"'],
    ["localhost:8o", 'and is "8o"'],
    ["localhost: 80", 'and is " 80"'],
    [":80", "write 0.0.0.0 or [::]"],
    ["*:80", "write 0.0.0.0 or [::]"],
    ["::1:80", "has to stand in brackets"],
    ["[::g]:80", '"::g" is not an IPv6 address'],
    ["[1.2.3.4]:80", "is not an IPv6 address"],
    ["[]:80", "is not an IPv6 address"],
    ["256.1.1.1:80", "neither an IPv4 address nor a host name"],
    ["1.2.3:80", "neither an IPv4 address nor a host name"],
    ["0x7f.0x1:80", "neither an IPv4 address nor a host name"],
    ["2130706433:80", "neither an IPv4 address nor a host name"],
    ["a b:80", "neither an IPv4 address nor a host name"],
    ["-a.com:80", "neither an IPv4 address nor a host name"],
    ["a..b:80", "neither an IPv4 address nor a host name"],
    ["http://a:80", "has to stand in brackets"],
    [`${"a".repeat(64)}:80`, "neither an IPv4 address nor a host name"],
    ["unix:", "the path is empty"],
    ["unix:/a\0b", "contains a NUL"],
    [`/${"x".repeat(107)}`, "has 108 bytes"],
    [`/${"é".repeat(54)}`, "has 109 bytes"],
  ])("refuses %j and says what is wrong", (text, reason) => {
    expect(() => parseSocketAddress(text)).toThrow(reason);
    expect(() => parseSocketAddress(text)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });

  it("does not repeat a huge text in its message", () => {
    expect(() => parseSocketAddress("x".repeat(1_000_000))).toThrow(/^.{1,400}$/);
  });

  it("refuses with a CirqueError or returns an address that formats to itself, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."[]:.0123456789af%/-*u") })), (text) => {
        let address: ReturnType<typeof parseSocketAddress>;
        try {
          address = parseSocketAddress(text, { allowPortZero: true });
        } catch (error) {
          expect(error).toMatchObject({ code: "InvalidArgument" });
          return;
        }
        expect(parseSocketAddress(formatSocketAddress(address), { allowPortZero: true })).toEqual(address);
      }),
      { numRuns: 2_000 },
    );
  });
});
