import { getEventListeners, once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, it } from "vitest";
import { certificate, privateKey } from "../../test/backend-test-certificate.ts";
import { TcpBackend } from "../../test/tcp-backend.ts";
import { Backend } from "../backend.ts";
import { TcpHealthCheck } from "./tcp-health-check.ts";

const never = new AbortController().signal;

describe("TcpHealthCheck", () => {
  it("waits one second, and turns after one result, unless told", () => {
    const check = new TcpHealthCheck();
    expect(check.timeoutMs).toBe(1_000);
    expect(check.healthThreshold(true)).toBe(1);
    expect(check.healthThreshold(false)).toBe(1);
    const other = new TcpHealthCheck({ connectTimeoutMs: 50, consecutiveSuccess: 2, consecutiveFailure: 3 });
    expect(other.timeoutMs).toBe(50);
    expect(other.healthThreshold(true)).toBe(2);
    expect(other.healthThreshold(false)).toBe(3);
  });

  it.each([
    { connectTimeoutMs: 0 },
    { connectTimeoutMs: Number.NaN },
    { connectTimeoutMs: 2 ** 31 },
    { consecutiveSuccess: 0 },
    { consecutiveFailure: 1.5 },
  ])("refuses %o", (options) => {
    expect(() => new TcpHealthCheck(options)).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });

  it("succeeds where somebody listens, and closes the connection", async () => {
    await using backend = await TcpBackend.start();
    await new TcpHealthCheck().check(new Backend(backend.address), never);
    for (const connection of backend.connections) await once(connection, "close");
    expect(backend.accepted).toBe(1);
    expect(backend.connections.size).toBe(0);
    expect(getEventListeners(never, "abort")).toEqual([]);
  });

  it("fails where nobody listens", async () => {
    const backend = await TcpBackend.start();
    await backend.stop();
    await expect(new TcpHealthCheck().check(new Backend(backend.address), never)).rejects.toMatchObject({
      code: "ConnectRefused",
      source: "upstream",
      cause: { code: "ECONNREFUSED" },
    });
  });

  it("fails where a name does not resolve", async () => {
    const check = new TcpHealthCheck({
      tls: { lookup: (name, _options, callback) => callback(new Error(`no such name: ${name}`), "") },
    });
    await expect(check.check(new Backend("nowhere.invalid:80"), never)).rejects.toMatchObject({
      code: "ConnectError",
      cause: { message: "no such name: nowhere.invalid" },
    });
  });

  it("connects to a Unix socket", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cirque-health-"));
    try {
      const path = join(folder, "backend.sock");
      const server = createServer((socket) => socket.resume()).listen(path);
      await once(server, "listening");
      await new TcpHealthCheck().check(new Backend(path), never);
      server.close();
      await once(server, "close");
      await expect(new TcpHealthCheck().check(new Backend(path), never)).rejects.toMatchObject({
        code: "ConnectRefused",
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("connects from the address that it was given", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const backend = new Backend(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const connection = once(server, "connection");
    await new TcpHealthCheck({ localAddress: "127.0.0.2" }).check(backend, never);
    const [socket] = await connection;
    expect(socket.remoteAddress).toBe("127.0.0.2");
    server.close();
  });

  it("ends at once when it is told to, and lets go of the signal", async () => {
    await using backend = await TcpBackend.start();
    const told = new AbortController();
    const check = TcpHealthCheck.tls("backend.test").check(new Backend(backend.address), told.signal);
    told.abort(new Error("stop"));
    await expect(check).rejects.toThrow("stop");
    expect(getEventListeners(told.signal, "abort")).toEqual([]);
    const late = new TcpHealthCheck().check(new Backend(backend.address), AbortSignal.abort(new Error("late")));
    await expect(late).rejects.toThrow("late");
  });

  it("demands a handshake and a valid certificate when it is a TLS check", async () => {
    const server = createTlsServer({ cert: certificate, key: privateKey }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const backend = new Backend(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    const trusted = { tls: { ca: certificate } };
    await TcpHealthCheck.tls("backend.test", trusted).check(backend, never);
    for (const check of [TcpHealthCheck.tls("other.test", trusted), TcpHealthCheck.tls("backend.test")]) {
      await expect(check.check(backend, never)).rejects.toMatchObject({ code: "InvalidCert" });
    }
    server.close();
    await once(server, "close");
  });

  it("fails when TLS is expected of a server that closes the connection", async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const backend = new Backend(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(TcpHealthCheck.tls("backend.test").check(backend, never)).rejects.toMatchObject({
      code: "TLSHandshakeFailure",
    });
    server.close();
  });
});
