import { describe, expect, it } from "vitest";
import { matchesAddress, socketsForAddress } from "./matches-address.ts";

describe("matchesAddress", () => {
  it.each([
    ["0.0.0.0:80", "0.0.0.0:80"],
    ["[::]:80", "[::]:80"],
    ["[0:0:0:0:0:0:0:0]:80", "[::]:80"],
    ["[::ffff:1.2.3.4]:80", "1.2.3.4:80"],
    ["1.2.3.4:80", "[::ffff:1.2.3.4]:80"],
    ["[::ffff:0102:0304]:80", "1.2.3.4:80"],
    ["[2001:DB8::0:1]:443", "[2001:db8::1]:443"],
    ["[fe80::1%eth0]:80", "[fe80::1]:80"],
    ["localhost:8080", "127.0.0.1:8080"],
    ["LOCALHOST:8080", "[::1]:8080"],
    ["unix:/run/x.sock", "unix:/run/x.sock"],
    ["/run/x.sock", "unix:/run/x.sock"],
    ["unix:/run//a/../x.sock", "unix:/run/x.sock"],
  ])("finds %s in %s", (configured, bound) => {
    expect(matchesAddress(configured, bound)).toBe(true);
  });

  it.each([
    ["0.0.0.0:80", "0.0.0.0:81"],
    ["0.0.0.0:80", "[::]:80"],
    ["[::]:80", "0.0.0.0:80"],
    ["127.0.0.1:80", "0.0.0.0:80"],
    ["127.0.0.1:0", "127.0.0.1:0"],
    ["localhost:80", "127.0.0.2:80"],
    ["example.com:80", "127.0.0.1:80"],
    ["unix:/run/x.sock", "unix:/run/y.sock"],
    ["unix:/run/x.sock", "127.0.0.1:80"],
    ["127.0.0.1:80", "unix:/run/x.sock"],
    ["nonsense", "nonsense"],
    ["127.0.0.1:80", "unix:"],
  ])("does not find %s in %s", (configured, bound) => {
    expect(matchesAddress(configured, bound)).toBe(false);
  });
});

describe("socketsForAddress", () => {
  const tcp = (boundAddress: string, descriptor: number) => ({ kind: "tcp", boundAddress, descriptor }) as const;

  it("gives all sockets of one address, in their order", () => {
    const sockets = [tcp("0.0.0.0:80", 3), tcp("0.0.0.0:443", 4), tcp("0.0.0.0:80", 5)];
    expect(descriptors(socketsForAddress(sockets, "tcp", "0.0.0.0:80"))).toEqual([3, 5]);
  });

  it("tells TCP from UDP", () => {
    const sockets = [tcp("127.0.0.1:53", 3), { kind: "udp", boundAddress: "127.0.0.1:53", descriptor: 4 } as const];
    expect(descriptors(socketsForAddress(sockets, "udp", "127.0.0.1:53"))).toEqual([4]);
  });

  it("takes a socket for all IPv6 addresses for 0.0.0.0 when there is no other", () => {
    expect(descriptors(socketsForAddress([tcp("[::]:80", 3)], "tcp", "0.0.0.0:80"))).toEqual([3]);
    expect(descriptors(socketsForAddress([tcp("[::]:80", 3)], "tcp", "[::ffff:0.0.0.0]:80"))).toEqual([3]);
    const both = [tcp("[::]:80", 3), tcp("0.0.0.0:80", 4)];
    expect(descriptors(socketsForAddress(both, "tcp", "0.0.0.0:80"))).toEqual([4]);
    expect(descriptors(socketsForAddress(both, "tcp", "[::]:80"))).toEqual([3]);
  });

  it.each(["127.0.0.1:80", "0.0.0.0:81", "0.0.0.0:0", "unix:/x", "nonsense"])("gives none for %s", (configured) => {
    expect(socketsForAddress([tcp("[::]:80", 3)], "tcp", configured)).toEqual([]);
  });
});

function descriptors(sockets: readonly { readonly descriptor: number }[]): number[] {
  return sockets.map(({ descriptor }) => descriptor);
}
