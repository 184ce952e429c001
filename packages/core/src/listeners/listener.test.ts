import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { singleThread } from "../threads/single-thread.ts";
import { Listener, type ListenerEvents } from "./listener.ts";

const never = new AbortController().signal;
let directory: string;
let opened: { close(): void }[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cirque-listener-"));
  opened = [];
});

afterEach(() => {
  for (const listener of opened) listener.close();
  rmSync(directory, { recursive: true });
});

describe("Listener", () => {
  it("hands accepted sockets over paused, and knows the port that the system chose", async () => {
    const { listener, sockets } = await bound(Listener.tcp("127.0.0.1:0"));
    expect(listener.endpoint).toEqual({ address: "127.0.0.1:0", kind: "tcp" });
    expect(listener.boundAddress).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    const client = await connected(listener);
    client.write("early");
    await expect.poll(() => sockets.length).toBe(1);
    const [socket] = sockets as [Socket];
    expect(socket.isPaused()).toBe(true);
    expect(await listener.connectionCount()).toBe(1);
    socket.resume();
    expect(String((await once(socket, "data"))[0])).toBe("early");
    client.end();
    await once(socket, "end");
    expect(socket.writable).toBe(true);
    socket.destroy();
  });

  it("refuses connections once it is closed, and keeps those it accepted", async () => {
    const { listener, sockets } = await bound(Listener.tcp("127.0.0.1:0"));
    const client = await connected(listener);
    await expect.poll(() => sockets.length).toBe(1);
    const address = listener.boundAddress;
    listener.close();
    await expect(connectTo(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    sockets[0]?.write("still here");
    expect(String((await once(client, "data"))[0])).toBe("still here");
    client.destroy();
    sockets[0]?.destroy();
  });

  it("binds IPv6 alone, beside the same port of IPv4", async () => {
    const { listener: four } = await bound(Listener.tcp("0.0.0.0:0"));
    const port = four.boundAddress?.split(":")[1];
    const { listener: six } = await bound(Listener.tcp(`[::]:${port}`, { ipv6Only: true }));
    expect(six.boundAddress).toBe(`[::]:${port}`);
  });

  it("shares a port with reusePort, and only then", async () => {
    const { listener: first } = await bound(Listener.tcp("127.0.0.1:0", { reusePort: true }));
    const address = first.boundAddress ?? "";
    const { listener: second } = await bound(Listener.tcp(address, { reusePort: true }));
    expect(second.boundAddress).toBe(address);
    await expect(bound(Listener.tcp(address, { bindRetries: 0 }))).rejects.toMatchObject({ code: "BindError" });
  });

  it("reuses an address that connections still linger on", async () => {
    const { listener, sockets } = await bound(Listener.tcp("127.0.0.1:0"));
    const address = listener.boundAddress ?? "";
    const client = await connected(listener);
    await expect.poll(() => sockets.length).toBe(1);
    // The side that closes first keeps the port for a while (TIME_WAIT).
    sockets[0]?.end();
    await once(client.resume(), "end");
    client.end();
    await once(sockets[0]?.resume() as Socket, "close");
    listener.close();
    await bound(Listener.tcp(address, { bindRetries: 0 }));
  });

  it("has the system probe silent connections", async () => {
    const keepAlive = { idleMs: 60_000, intervalMs: 5_000, count: 3 };
    const { listener, sockets } = await bound(Listener.tcp("127.0.0.1:0", { keepAlive }));
    const client = await connected(listener);
    await expect.poll(() => sockets.length).toBe(1);
    // The timer of the connection in the system's table: 02 is that of keep-alive; it runs in units of 10 ms.
    const [timer = "", expiry] = timerOf(sockets[0] as Socket);
    expect(timer).toBe("02");
    expect(Number.parseInt(String(expiry), 16)).toBeGreaterThan(1_000);
    client.destroy();
    sockets[0]?.destroy();
  });

  it("marks what is sent for Differentiated Services", async () => {
    for (const [host, address] of [
      ["127.0.0.1", "127.0.0.1:0"],
      ["::1", "[::1]:0"],
    ] as const) {
      const { listener, sockets } = await bound(Listener.tcp(address, { dscp: 46 }));
      const client = connect(Number(listener.boundAddress?.split(":").at(-1)), host);
      await expect.poll(() => sockets.length).toBe(1);
      expect(sockets[0]?.getTypeOfService()).toBe(46 << 2);
      client.destroy();
      sockets[0]?.destroy();
    }
    expect(() => Listener.tcp("127.0.0.1:0", { dscp: 64 })).toThrow("dscp is 64; expected a whole number, 0 to 63");
  });

  it("tries again while the port is in use", async () => {
    const taken = await occupied();
    const retries: number[] = [];
    const listener = Listener.tcp(addressOf(taken), { bindRetryIntervalMs: 1 });
    opened.push(listener);
    const retry = (_error: Error, attempt: number): void => {
      retries.push(attempt);
      if (attempt === 3) taken.close();
    };
    await listener.bind({ ...ignoredEvents, retry }, singleThread(), never);
    expect(retries.slice(0, 3)).toEqual([1, 2, 3]);
    expect(listener.boundAddress).toBe(listener.endpoint.address);
  });

  it("gives up in the end, and says what to do", async () => {
    const taken = await occupied();
    const retries: number[] = [];
    const listener = Listener.tcp(addressOf(taken), { bindRetries: 2, bindRetryIntervalMs: 1 });
    const binding = listener.bind(
      { ...ignoredEvents, retry: (_error, attempt) => retries.push(attempt) },
      singleThread(),
      never,
    );
    await expect(binding).rejects.toMatchObject({
      code: "BindError",
      message: `cannot listen on ${addressOf(taken)}: the address is in use; stop the program that listens there, or choose another`,
      context: { systemCode: "EADDRINUSE" },
    });
    expect(retries).toEqual([1, 2]);
    taken.close();
  });

  it("stops trying when it is told to", async () => {
    const taken = await occupied();
    const controller = new AbortController();
    const listener = Listener.tcp(addressOf(taken), { bindRetryIntervalMs: 1_000_000 });
    const binding = listener.bind(
      { ...ignoredEvents, retry: () => controller.abort() },
      singleThread(),
      controller.signal,
    );
    await expect(binding).rejects.toThrow(`cannot listen on ${addressOf(taken)}: the server was stopped`);
    taken.close();
  });

  it.each([
    ["192.0.2.1:0", "no network interface of this machine has that address"],
    ["no-such-host.invalid:0", "the host name cannot be resolved"],
  ])("says why %s cannot be bound", async (address, reason) => {
    await expect(bound(Listener.tcp(address))).rejects.toThrow(`cannot listen on ${address}: ${reason}`);
  });

  it.each(["127.0.0.1", "127.0.0.1:http", "::1:80"])("refuses the address %s", (address) => {
    expect(() => Listener.tcp(address)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

describe("a listener on a Unix socket", () => {
  it("accepts connections, lets everybody in by default, and removes its file when it closes", async () => {
    const path = join(directory, "a.sock");
    const { listener, sockets } = await bound(Listener.unix(path));
    expect(listener.endpoint).toEqual({ address: `unix:${path}`, kind: "unix" });
    expect(listener.boundAddress).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o666);
    const client = await connected(listener);
    await expect.poll(() => sockets.length).toBe(1);
    client.destroy();
    sockets[0]?.destroy();
    listener.close();
    await expect.poll(() => existsSync(path)).toBe(false);
  });

  it("takes the mode and the address it is given", async () => {
    const path = join(directory, "a.sock");
    const { listener } = await bound(Listener.unix(`unix:${path}`, { mode: 0o600 }));
    expect(listener.endpoint.address).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("replaces a socket that nobody listens on", async () => {
    const path = join(directory, "a.sock");
    await leaveStaleSocket(path);
    expect(existsSync(path)).toBe(true);
    const { listener } = await bound(Listener.unix(path, { bindRetries: 0 }));
    (await connected(listener)).destroy();
  });

  it("leaves a socket alone that somebody listens on", async () => {
    const path = join(directory, "a.sock");
    const { listener: first } = await bound(Listener.unix(path));
    await expect(bound(Listener.unix(path, { bindRetries: 1, bindRetryIntervalMs: 1 }))).rejects.toThrow(
      `cannot listen on unix:${path}: the address is in use`,
    );
    (await connected(first)).destroy();
  });

  it("never removes a file that is not a socket", async () => {
    const path = join(directory, "precious");
    writeFileSync(path, "data");
    await expect(bound(Listener.unix(path))).rejects.toThrow(
      `cannot listen on unix:${path}: the file exists and is not a socket; remove it, or choose another path`,
    );
    expect(readFileSync(path, "utf8")).toBe("data");
    chmodSync(directory, 0o700);
    await expect(bound(Listener.unix(directory))).rejects.toThrow("is not a socket");
  });

  it("says that the directory is missing", async () => {
    const path = join(directory, "missing", "a.sock");
    await expect(bound(Listener.unix(path))).rejects.toThrow(
      `cannot listen on unix:${path}: the directory ${join(directory, "missing")} does not exist`,
    );
  });

  it("refuses a path that is too long", () => {
    expect(() => Listener.unix(`/${"x".repeat(120)}`)).toThrow("a Unix socket takes at most 107");
  });
});

const ignoredEvents: ListenerEvents = { connection: () => {}, acceptError: () => {}, retry: () => {} };

async function bound(listener: Listener): Promise<{ listener: Listener; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  opened.push(listener);
  await listener.bind({ ...ignoredEvents, connection: (socket) => sockets.push(socket) }, singleThread(), never);
  return { listener, sockets };
}

function connected(listener: Listener): Promise<Socket> {
  return connectTo(listener.boundAddress);
}

async function connectTo(address = ""): Promise<Socket> {
  const [host = "", port = ""] = address.split(":");
  const socket = host === "unix" ? connect({ path: port }) : connect(Number(port), host);
  await once(socket, "connect");
  return socket;
}

async function occupied(): Promise<Server> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function addressOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  return `${address.address}:${address.port}`;
}

/** What a program leaves behind that was killed while it listened. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawn } = await import("node:child_process");
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await once(spawn(process.execPath, ["-e", script]), "exit");
}

function timerOf(socket: Socket): string[] {
  const hex = (port: number | undefined): string => Number(port).toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((row) => row.trim().split(/\s+/))
    .find((row) => row[1]?.endsWith(`:${hex(socket.localPort)}`) && row[2]?.endsWith(`:${hex(socket.remotePort)}`));
  return line?.[5]?.split(":") ?? [];
}
