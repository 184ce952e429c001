import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytesOfIpAddress, mappedIpv4, textOfIpAddress } from "./ip-address.ts";

describe("IP addresses as bytes", () => {
  it.each([
    ["192.0.2.1", "c0000201", "192.0.2.1"],
    ["::", "00000000000000000000000000000000", "::"],
    ["::1", "00000000000000000000000000000001", "::1"],
    ["2001:DB8::", "20010db8000000000000000000000000", "2001:db8::"],
    ["2001:db8:0:0:1:0:0:1", "20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
    ["2001:0:0:1:0:0:0:1", "20010000000000010000000000000001", "2001:0:0:1::1"],
    ["1:2:3:4:5:6:0:8", "00010002000300040005000600000008", "1:2:3:4:5:6:0:8"],
    ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201", "::ffff:192.0.2.1"],
    ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221", "64:ff9b::c000:221"],
    ["fe80::1%eth0", "fe800000000000000000000000000001", "fe80::1"],
  ])("%s is %s, and %s again", (text, hexadecimal, canonical) => {
    const bytes = bytesOfIpAddress(text);
    expect(bytes?.toString("hex")).toBe(hexadecimal);
    expect(textOfIpAddress(bytes ?? Buffer.alloc(4))).toBe(canonical);
  });

  it.each(["", "a.example", "192.0.2", "192.0.2.256", "1:2", "[::1]", "::1::"])("%j is none", (text) => {
    expect(bytesOfIpAddress(text)).toBeUndefined();
  });

  it("any bytes are an address, that is these bytes", () => {
    const sizes = fc.constantFrom(4, 16);
    const groups = fc.constantFrom(0, 0, 0, 1, 255);
    const addresses = sizes.chain((size) => fc.array(groups, { minLength: size, maxLength: size }));
    fc.assert(
      fc.property(addresses, (address) => {
        const bytes = Buffer.from(address);
        expect(bytesOfIpAddress(textOfIpAddress(bytes))).toEqual(bytes);
      }),
    );
  });

  it("an IPv4 address in one of IPv6 is found", () => {
    expect(mappedIpv4(bytesOfIpAddress("::ffff:192.0.2.1") ?? Buffer.alloc(0))?.join(".")).toBe("192.0.2.1");
    for (const text of ["::192.0.2.1", "64:ff9b::192.0.2.1", "192.0.2.1"]) {
      expect(mappedIpv4(bytesOfIpAddress(text) ?? Buffer.alloc(0))).toBeUndefined();
    }
  });
});
