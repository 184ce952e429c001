import { describe, expect, it } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

const NEVER = new AbortController().signal;
const UPGRADE = get("/", "Connection: Upgrade\r\nUpgrade: x\r\n");

/** A drain, and whether it is over. */
function drain(proxy: TestProxy<void>, force: AbortSignal = NEVER): { readonly done: Promise<void>; over: boolean } {
  const state = { over: false, done: Promise.resolve() };
  state.done = proxy.proxy.drain(force).then(() => {
    state.over = true;
  });
  return state;
}

describe("a proxy that drains", () => {
  it("is done at once when it has no connection", async () => {
    await using proxy = await TestProxy.start({ upstreamPeer: () => new Response("no origin") });
    await proxy.proxy.drain(NEVER);
  });

  it("closes idle connections, of clients and of origins", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    const options = { server: { lastRequestTimeoutMs: 0 } };
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, options);
    const fresh = await proxy.client();
    const used = await proxy.client();
    await used.send(get("/", "")).until("ok");
    const drained = proxy.proxy.drain(NEVER);
    expect(await fresh.whenClosed()).toEqual({ text: "", reset: false });
    expect((await used.whenClosed()).reset).toBe(false);
    await drained;
    await (await origin.connections.at(0)).whenClosed();
  });

  it("lets a request that waits for its origin finish, and says that the connection closes", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(get("/", ""));
    const connection = await origin.connections.at(0);
    await connection.request();
    const draining = drain(proxy);
    connection.send(okResponse("answer"));
    const { text, reset } = await client.whenClosed();
    expect(readResponses(text)).toMatchObject([{ status: 200, body: "answer" }]);
    expect(readResponses(text)[0]?.headers.get("connection")).toBe("close");
    expect(reset).toBe(false);
    await draining.done;
  });

  it("lets a response that has begun come to its end", async () => {
    await using origin = await RawOrigin.start();
    const options = { server: { lastRequestTimeoutMs: 0 } };
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, options);
    const client = await proxy.client();
    client.send(get("/", ""));
    const connection = await origin.connections.at(0);
    await connection.request();
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir");
    await client.until("fir");
    const draining = drain(proxy);
    connection.send("st!");
    const { text } = await client.whenClosed();
    expect(readResponses(text)).toMatchObject([{ status: 200, body: "first!" }]);
    await draining.done;
  });

  it("lets an upload come to its end", async () => {
    await using origin = await RawOrigin.answering((request) => okResponse(request.body));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(post("first half, second half", "").slice(0, -"second half".length));
    await (await origin.connections.at(0)).until("first half");
    const draining = drain(proxy);
    client.send("second half");
    const [response] = readResponses((await client.whenClosed()).text);
    expect(response?.body).toBe("first half, second half");
    expect(response?.headers.get("connection")).toBe("close");
    await draining.done;
  });

  it("answers a request whose head has begun, as the last one", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    // By the time that another client is answered, the half was read.
    await client.send(`${get("/", "")}GET /late HTTP/1.1\r\n`).until("ok");
    await proxy.exchange(get());
    const draining = drain(proxy);
    client.send("Host: a.example\r\n\r\n");
    const [, response] = readResponses((await client.whenClosed()).text);
    expect(response?.headers.get("connection")).toBe("close");
    await draining.done;
  });

  it("leaves pipelined requests behind the one under way unanswered and unsent", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(get("/1", "") + get("/2", "") + post("body", ""));
    const connection = await origin.connections.at(0);
    expect((await connection.request()).head.target).toBe("/1");
    const draining = drain(proxy);
    connection.send(okResponse("one"));
    const { text } = await client.whenClosed();
    expect(readResponses(text)).toMatchObject([{ status: 200, body: "one" }]);
    await draining.done;
    expect(origin.connections.length).toBe(1);
    expect(connection.text).not.toContain("/2");
  });

  it("tells callbacks, in requests under way", async () => {
    const seen: boolean[] = [];
    await using origin = await RawOrigin.start();
    const callbacks: ProxyHttp = {
      upstreamPeer: () => origin.peer(),
      requestFilter: (session) => {
        seen.push(session.shuttingDown);
      },
      responseFilter: (session) => {
        seen.push(session.shuttingDown);
      },
    };
    await using proxy = await TestProxy.start(callbacks);
    const client = await proxy.client();
    client.send(get("/", ""));
    const connection = await origin.connections.at(0);
    await connection.request();
    const draining = drain(proxy);
    connection.send(okResponse(""));
    await client.whenClosed();
    await draining.done;
    expect(seen).toEqual([false, true]);
  });

  it("waits for tunnels to end by themselves", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(UPGRADE);
    const connection = await origin.connections.at(0);
    connection.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    await client.until("\r\n\r\n");
    const draining = drain(proxy);
    client.clear().send("still here");
    await connection.until("still here");
    connection.send("indeed");
    await client.until("indeed");
    expect(draining.over).toBe(false);
    client.end();
    await connection.whenEnded();
    connection.end();
    await client.whenClosed();
    await draining.done;
  });
});

describe("a drain that is forced", () => {
  it("cuts what is left: requests, tunnels and uploads, and is over", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const [waiting, tunnel, uploading] = [await proxy.client(), await proxy.client(), await proxy.client()];
    waiting.send(get("/waiting", ""));
    await (await origin.connections.at(0)).request();
    tunnel.send(UPGRADE);
    const far = await origin.connections.at(1);
    far.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    await tunnel.until("101");
    uploading.send(post("never whole", "").slice(0, -3));
    await (await origin.connections.at(2)).until("never wh");

    const force = new AbortController();
    const draining = drain(proxy, force.signal);
    expect(draining.over).toBe(false);
    force.abort();
    await draining.done;
    for (const client of [waiting, tunnel, uploading]) await client.whenClosed();
    for (const connection of origin.connections.items) await connection.whenClosed();
    expect(waiting.text).toBe("");
    expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
  });

  it("that was forced before it began cuts at once", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const client = await proxy.client();
    client.send(get("/", ""));
    await (await origin.connections.at(0)).request();
    await proxy.proxy.drain(AbortSignal.abort());
    expect((await client.whenClosed()).text).toBe("");
  });
});
