import { describe, expect, it } from "vitest";
import { type OriginConnection, okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { settled } from "./harness/raw-peer.ts";
import { readResponses } from "./harness/read-responses.ts";
import { Recorder } from "./harness/recorder.ts";
import { get, TestProxy } from "./harness/test-proxy.ts";

const upgrade = (rest = "", protocol = "chat"): string =>
  `GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n${rest}`;

const switching = (rest = "", protocol = "chat"): string =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\nX-Origin: 1\r\n\r\n${rest}`;

/** An origin that switches at once, and what it has then. */
function switchingOrigin(rest = ""): Promise<RawOrigin> {
  return RawOrigin.start(async (connection) => {
    await connection.requestHead();
    connection.send(switching(rest));
  });
}

describe("a change of protocol", () => {
  it("is asked of the origin, agreed to, and followed by bytes both ways", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    expect(client.text).toBe(
      "HTTP/1.1 101 Switching Protocols\r\nX-Origin: 1\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n",
    );
    const connection = await origin.connections.at(0);
    expect(connection.text).toMatch(/\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n$/);

    client.clear().send("\0ping\xff");
    await connection.until("\0ping\xff");
    connection.send("\xfepong\0");
    await client.until("\xfepong\0");
    expect(client.text).toBe("\xfepong\0");
  });

  it("names the protocol that the origin chose among those offered", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send(switching("", "second"));
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade("", "first, second")).until("\r\n\r\n");
    expect((await origin.connections.at(0)).text).toContain("Upgrade: first, second\r\n");
    expect(client.text.match(/^upgrade: .*$/gim)).toEqual(["Upgrade: second"]);
  });

  it("carries no framing of a body", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.send(switching().replace("X-Origin", "Content-Length: 10\r\nX-Origin"));
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    expect(client.text).toMatch(/^HTTP\/1\.1 101 /);
    expect(client.text).not.toMatch(/content-length/i);
  });

  it("passes on bytes that came right behind the 101", async () => {
    await using origin = await switchingOrigin("early bird");
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    expect(await client.send(upgrade()).until("early bird")).toMatch(/\r\n\r\nearly bird$/);
  });

  it("sends each end on, and the other direction goes on", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    client.send("last words").end();
    await connection.until("last words");
    await connection.whenEnded();
    connection.send("I heard");
    await client.until("I heard");
    connection.end();
    await client.whenClosed();
    expect(client.error).toBeUndefined();
    expect(proxy.logger.messages("error")).toEqual([]);
  });

  it("sends the end of the origin on likewise", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    connection.send("bye").end();
    await client.whenEnded();
    client.send("wait").send(" for me").end();
    await connection.until("wait for me");
    expect((await connection.whenClosed()).reset).toBe(false);
  });

  it("loses nothing of what a slow origin has still to read when both have ended", async () => {
    const sent = "x".repeat(12 * 1024 * 1024);
    await using origin = await switchingOrigin();
    const logged = new Recorder<unknown>();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      logging: (_session, error) => logged.add(error),
    });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    connection.end();
    await client.whenEnded();
    connection.clear().socket.pause();
    client.send(sent).end();
    for (let turn = 0; turn < 20; turn++) await settled();
    connection.socket.resume();
    await connection.bytes(sent.length);
    await connection.whenEnded();
    expect(connection.text.length).toBe(sent.length);
    expect(await logged.at(0)).toBeUndefined();
  });

  it("loses nothing of what a slow client has still to read when both have ended", async () => {
    const sent = "y".repeat(12 * 1024 * 1024);
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    client.end();
    await connection.whenEnded();
    client.clear().socket.pause();
    connection.send(sent).end();
    for (let turn = 0; turn < 20; turn++) await settled();
    client.socket.resume();
    await client.bytes(sent.length);
    await client.whenEnded();
    expect(client.text.length).toBe(sent.length);
  });

  it("slows a sender down to what the other side takes", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    client.clear().socket.pause();
    const sent = "z".repeat(48 * 1024 * 1024);
    connection.send(sent);
    for (let turn = 0; turn < 20; turn++) await settled();
    // What it has not taken waits in the origin, not in the proxy.
    expect(connection.socket.writableLength).toBeGreaterThan(16 * 1024 * 1024);
    client.socket.resume();
    await client.bytes(sent.length);
    expect(client.text.length).toBe(sent.length);
  });

  it.each(["reset", "destroy"])("ends for the client when the origin dies (%s)", async (how) => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    if (how === "reset") connection.reset();
    else connection.socket.destroy();
    await client.whenClosed();
  });

  it("ends for the origin when the client dies", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    client.reset();
    await connection.whenClosed();
  });

  it("is closed on both sides when it is idle for too long", async () => {
    await using origin = await switchingOrigin();
    const logged = new Recorder<unknown>();
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer(), logging: (_session, error) => logged.add(error) },
      { tunnelIdleTimeoutMs: 50 },
    );
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    await client.whenClosed();
    await (await origin.connections.at(0)).whenClosed();
    expect(await logged.at(0)).toMatchObject({ code: "ReadTimedout" });
  });

  it("runs the body filters on its bytes, in order", async () => {
    const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: async (_session, chunk) => {
        await later();
        if (chunk.data !== undefined) chunk.data = Buffer.from(chunk.data.toString("latin1").toUpperCase(), "latin1");
        if (chunk.end) chunk.data = Buffer.from("<end>");
      },
      responseBodyFilter: async (_session, chunk) => {
        await later();
        if (chunk.data !== undefined) chunk.data = Buffer.from(chunk.data.toString("latin1").replaceAll("o", "0"));
      },
    });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    connection.clear();
    client.clear().send("hello").end();
    await connection.whenEnded();
    expect(connection.text).toBe("HELLO<end>");
    connection.send("foo boo").end();
    await client.whenClosed();
    expect(client.text).toBe("f00 b00");
  });

  it("logs once, with what went both ways", async () => {
    await using origin = await switchingOrigin();
    const logged = new Recorder<readonly unknown[]>();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      logging: (session, error) =>
        logged.add([error, session.response?.status, session.bodyBytesReceived, session.bodyBytesSent]),
    });
    const client = await proxy.client();
    await client.send(upgrade()).until("\r\n\r\n");
    const connection = await origin.connections.at(0);
    client.send("12345").end();
    await connection.until("12345");
    connection.send("123").end();
    await client.whenClosed();
    expect(await logged.at(0)).toEqual([undefined, 101, 5, 3]);
    expect(logged.length).toBe(1);
  });
});

describe("CVE-2026-2833: bytes right behind a request for another protocol", () => {
  const smuggled = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n";

  it("are not sent before the origin has agreed, and are then", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(upgrade("early bytes"));
    const connection = await origin.connections.at(0);
    await connection.requestHead();
    await settled();
    expect(connection.text).not.toContain("early bytes");
    connection.clear().send(switching());
    await connection.until("early bytes");
  });

  it.each([
    ["200", okResponse("no thanks")],
    ["403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"],
    ["426", "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n"],
  ])("are neither sent nor served when the origin answers %s", async (status, response) => {
    await using origin = await RawOrigin.answering(response);
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const text = await proxy.exchange(upgrade(smuggled));
    expect(readResponses(text)).toMatchObject([{ status: Number(status) }]);
    expect(origin.connections.items.map((connection) => connection.text).join("")).not.toContain("/admin");
  });

  it("are not sent when a filter answers", async () => {
    await using origin = await RawOrigin.answering(okResponse(""));
    await using proxy = await TestProxy.start({
      requestFilter: () => new Response("no", { status: 403 }),
      upstreamPeer: () => origin.peer(),
    });
    expect(readResponses(await proxy.exchange(upgrade(smuggled)))).toMatchObject([{ status: 403, body: "no" }]);
    expect(origin.connections.length).toBe(0);
  });
});

describe("an origin that refuses to change the protocol", () => {
  it("has its answer passed on whole, with each cookie once (httpxy #114, #116)", async () => {
    await using origin = await RawOrigin.answering(
      "HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n",
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const responses = readResponses(await proxy.exchange(upgrade()));
    expect(responses).toMatchObject([{ status: 403, body: "no!" }]);
    expect(responses[0]?.headers.getAll("set-cookie")).toEqual(["a=1", "b=2"]);
  });
});

describe("an origin that changes the protocol", () => {
  it.each([
    ["without being asked", get("/", "")],
    ["for a client that names no Upgrade in Connection", get("/", "Upgrade: chat\r\n")],
    ["for a client of HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n"],
  ])("%s, is answered for by 502", async (_when, request) => {
    await using origin = await switchingOrigin("poison");
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const text = await proxy.exchange(request);
    expect(readResponses(text)).toMatchObject([{ status: 502 }]);
    expect(text).not.toContain("poison");
  });

  it("because a filter asked it, is answered for by 502", async () => {
    await using origin = await switchingOrigin("poison");
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.set("upgrade", "chat");
      },
    });
    const text = await proxy.exchange(get());
    expect(readResponses(text)).toMatchObject([{ status: 502 }]);
    expect(text).not.toContain("poison");
  });

  it("before it has the whole request, is answered for by 502", async () => {
    await using origin = await switchingOrigin();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\nContent-Length: 10\r\n\r\n";
    expect(readResponses(await proxy.exchange(`${head}12345`))).toMatchObject([{ status: 502 }]);
  });

  it("behind a request with a body, has the tunnel begin behind that body", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.clear().send(switching());
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\nContent-Length: 5\r\n\r\n";
    const client = await proxy.client();
    await client.send(`${head}12345tunnel`).until("101 ");
    const connection: OriginConnection = await origin.connections.at(0);
    await connection.until("tunnel");
    expect(connection.text).toBe("tunnel");
  });
});

describe("filters and a change of protocol", () => {
  it("a filter that makes 101 of another status gets 500", async () => {
    await using origin = await RawOrigin.answering(okResponse("hello"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      responseFilter: (_session, response) => {
        response.status = 101;
      },
    });
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 500 }]);
    expect(readResponses(await proxy.exchange(upgrade()))).toMatchObject([{ status: 500 }]);
  });

  it("a filter that makes another status of 101 keeps the protocol", async () => {
    await using origin = await switchingOrigin("tunnel bytes");
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      responseFilter: (_session, response) => {
        response.status = 403;
      },
    });
    const text = await proxy.exchange(upgrade());
    expect(text).not.toContain("tunnel bytes");
    expect(readResponses(text)).toMatchObject([{ status: 403, body: "" }]);
  });

  it("h2c is not asked for: it would carry requests past the proxy", async () => {
    const requests: string[] = [];
    await using origin = await RawOrigin.answering((request) => {
      requests.push(request.head.headers.toWire());
      return okResponse("plain");
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const lines = "Connection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    expect(await proxy.exchange(get("/", `${lines}Upgrade: h2c\r\n`))).toContain("plain");
    expect(await proxy.exchange(get("/", `${lines}Upgrade: H2C, chat\r\n`))).toContain("plain");
    expect(requests).toHaveLength(2);
    for (const request of requests) expect(request).not.toMatch(/upgrade|h2c|http2-settings/i);
  });
});
