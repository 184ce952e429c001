import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TcpBackend } from "../../test/tcp-backend.ts";
import { isConnectedToItself } from "./self-connection.ts";

describe("isConnectedToItself", () => {
  it("tells a connection that TCP made with itself from one with a listener", async () => {
    const backend = await TcpBackend.start();
    const port = Number(backend.address.split(":")[1]);
    const toListener = connect({ host: "127.0.0.1", port });
    await once(toListener, "connect");
    expect(isConnectedToItself(toListener)).toBe(false);
    toListener.destroy();
    await backend.stop();

    const unused = await TcpBackend.start();
    const unusedPort = Number(unused.address.split(":")[1]);
    await unused.stop();
    const toItself = connect({ host: "127.0.0.1", port: unusedPort, localAddress: "127.0.0.1", localPort: unusedPort });
    await once(toItself, "connect");
    expect(isConnectedToItself(toItself)).toBe(true);
    toItself.destroy();
  });

  it("does not take a Unix socket for one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cirque-self-"));
    const server = createServer((socket) => socket.resume()).listen(join(folder, "s"));
    await once(server, "listening");
    const socket = connect(join(folder, "s"));
    await once(socket, "connect");
    expect(isConnectedToItself(socket)).toBe(false);
    socket.destroy();
    server.close();
    await once(server, "close");
    await rm(folder, { recursive: true });
  });
});
