import { closeSync, mkdtempSync, openSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type OpenSocket, openConnection, openServer, openUdp } from "../../../test/server/open-sockets.ts";
import { addressesOfDescriptors, addressOfDescriptor } from "./descriptor-address.ts";

let directory: string;
let sockets: OpenSocket[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-descriptor-"));
  sockets = [];
});

afterEach(() => {
  for (const socket of sockets) socket.close();
  rmSync(directory, { recursive: true });
});

describe("addressOfDescriptor", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["127.1.2.3", "127.1.2.3"],
    ["0.0.0.0", "0.0.0.0"],
    ["::1", "[::1]"],
    ["::", "[::]"],
    ["::ffff:127.0.0.1", "[::ffff:127.0.0.1]"],
  ])("reads the address of a TCP listener on %s", async (host, written) => {
    const { descriptor, port } = await open(openServer({ host, port: 0 }));
    expect(addressOfDescriptor(descriptor)).toEqual({
      kind: "tcp",
      boundAddress: `${written}:${port}`,
      listening: true,
    });
  });

  it.each([
    ["udp4", "127.0.0.1", "127.0.0.1"],
    ["udp6", "::1", "[::1]"],
  ] as const)("reads the address of a %s socket", async (type, host, written) => {
    const { descriptor, port } = await open(openUdp(type, host));
    expect(addressOfDescriptor(descriptor)).toEqual({
      kind: "udp",
      boundAddress: `${written}:${port}`,
      listening: true,
    });
  });

  it.each(["a.sock", "with a space.sock", "grüße.sock"])("reads the path of a Unix listener: %s", async (name) => {
    const path = join(directory, name);
    const { descriptor } = await open(openServer({ path }));
    expect(addressOfDescriptor(descriptor)).toEqual({ kind: "unix", boundAddress: `unix:${path}`, listening: true });
  });

  it("reads the path that a Unix listener was bound to, also when its file was renamed", async () => {
    const path = join(directory, "before.sock");
    const { descriptor } = await open(openServer({ path }));
    renameSync(path, join(directory, "after.sock"));
    expect(addressOfDescriptor(descriptor)?.boundAddress).toBe(`unix:${path}`);
  });

  it("reads the name of an abstract Unix listener", async () => {
    const name = `cirque-test-${process.pid}`;
    const { descriptor } = await open(openServer({ path: `\0${name}` }));
    expect(addressOfDescriptor(descriptor)).toEqual({ kind: "unix", boundAddress: `unix:@${name}`, listening: true });
  });

  it("says that an accepted connection does not listen", async () => {
    const { descriptor, port } = await open(openConnection());
    expect(addressOfDescriptor(descriptor)).toEqual({
      kind: "tcp",
      boundAddress: `127.0.0.1:${port}`,
      listening: false,
    });
  });

  it("knows nothing of a file, of a closed descriptor, and of what is no descriptor", () => {
    const file = openSync("/dev/null", "r");
    expect(addressOfDescriptor(file)).toBeUndefined();
    closeSync(file);
    for (const descriptor of [file, -1, Number.NaN, 1e9]) expect(addressOfDescriptor(descriptor)).toBeUndefined();
  });

  it("leaves the socket open for who listens on it", async () => {
    const { descriptor } = await open(openServer({ host: "127.0.0.1", port: 0 }));
    const first = addressOfDescriptor(descriptor);
    expect(addressOfDescriptor(descriptor)).toEqual(first);
  });
});

describe("addressesOfDescriptors", () => {
  it("finds sockets of all kinds at once, and leaves out what is none", async () => {
    const tcp = await open(openServer({ host: "::1", port: 0 }));
    const udp = await open(openUdp("udp4", "127.0.0.1"));
    const unix = await open(openServer({ path: join(directory, "a.sock") }));
    const found = addressesOfDescriptors([tcp.descriptor, udp.descriptor, unix.descriptor, 1e9]);
    expect([...found].map(([descriptor, { kind }]) => [descriptor, kind]).sort()).toEqual(
      [
        [tcp.descriptor, "tcp"],
        [udp.descriptor, "udp"],
        [unix.descriptor, "unix"],
      ].sort(),
    );
  });
});

async function open(opening: Promise<OpenSocket>): Promise<OpenSocket> {
  const socket = await opening;
  sockets.push(socket);
  return socket;
}
