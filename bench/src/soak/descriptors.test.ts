import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { inodesOfConnections, readDescriptors } from "./descriptors.ts";

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0 100 0 0 10 0
   1: 0100007F:C001 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 101 1 0 20 4 0 10 -1
   2: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 102 1 0 20 4 0 10 -1
`;

describe("inodesOfConnections", () => {
  it("takes the sockets whose remote end is at the port", () => {
    expect([...inodesOfConnections(table, 8080)]).toEqual(["101"]);
    expect([...inodesOfConnections(table, 8081)]).toEqual([]);
  });
});

describe.runIf(process.platform === "linux")("readDescriptors", () => {
  it("counts connections to a port among the descriptors of a process", async () => {
    await using server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const before = readDescriptors(process.pid, address.port);
    expect(before).toMatchObject({ toPort: 0 });
    expect(before.all).toBeGreaterThan(3);
    const accepted = once(server, "connection");
    const socket = connect(address.port, "127.0.0.1");
    const [peer] = await accepted;
    expect(readDescriptors(process.pid, address.port).toPort).toBe(1);
    socket.destroy();
    peer.destroy();
  });
});
