import { HttpPeer } from "@cirque/core";
import { MalformedMessage } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { forwardingHeaders, type ProxyHttp } from "../../src/index.ts";
import { connectionReset, connectRefused, OriginResponse, testProxy } from "../../src/testing/index.ts";

const peer = new HttpPeer("10.0.0.1:80");
const plain: ProxyHttp = { upstreamPeer: () => peer };
const URL_A = "http://a.example/path?q";

describe("a request in memory", () => {
  it("goes through all callbacks, in their order, to the origin and back", async () => {
    class Counting implements ProxyHttp<{ readonly id: number }> {
      #requests = 0;
      newCtx() {
        return { id: ++this.#requests };
      }
      earlyRequestFilter() {}
      upstreamPeer() {
        return peer;
      }
      upstreamRequestFilter(_session: unknown, request: { headers: { set(name: string, value: string): unknown } }) {
        request.headers.set("x-from", "gateway");
      }
      responseFilter() {}
      logging() {}
    }
    const proxy = testProxy(new Counting(), { origin: async (request) => new Response(`got ${await request.text()}`) });
    const first = await proxy.fetch(URL_A, { method: "POST", body: "tea" });
    expect(await first.response.text()).toBe("got tea");
    expect(first.response.headers.get("content-length")).toBe("7");
    expect(first.callbacks).toEqual([
      "newCtx",
      "earlyRequestFilter",
      "upstreamPeer",
      "upstreamRequestFilter",
      "responseFilter",
      "logging",
    ]);
    const [seen] = first.originRequests;
    expect(seen?.request.url).toBe(URL_A);
    expect(seen?.request.headers.get("x-from")).toBe("gateway");
    expect(await seen?.request.text()).toBe("tea");
    expect(seen).toMatchObject({ reused: false, peer, trailers: undefined });
    expect(first.session).toMatchObject({ attempts: 1, bodyBytesReceived: 3, bodyBytesSent: 7 });
    expect(first).toMatchObject({ ctx: { id: 1 }, error: undefined, log: [], interim: [], trailers: undefined });
    const second = await proxy.fetch(URL_A);
    expect(second.ctx.id).toBe(2);
    expect(second.originRequests[0]?.reused).toBe(true);
  });

  it("has the client, the scheme and the modules that it was given", async () => {
    const proxy = testProxy(plain, { origin: () => new Response(), modules: [forwardingHeaders({})] });
    const { session, originRequests } = await proxy.fetch("https://a.example/", { clientAddress: "[2001:db8::1]:99" });
    expect(session).toMatchObject({ clientAddress: "[2001:db8::1]:99", serverAddress: "203.0.113.1:443" });
    expect(session.tls?.serverName).toBe("a.example");
    expect(originRequests[0]?.request.headers.get("x-forwarded-proto")).toBe("https");
    expect(originRequests[0]?.request.headers.get("x-forwarded-for")).toBe("2001:db8::1");
  });

  it("may have a method, a target and a version of its own", async () => {
    const targets: string[] = [];
    const proxy = testProxy(
      {
        ...plain,
        requestFilter: (session) => void targets.push(`${session.request.method} ${session.request.target}`),
      },
      { origin: () => new Response("x") },
    );
    await proxy.fetch(URL_A, { method: "PROPFIND", target: "/a/../b" });
    expect(targets).toEqual(["PROPFIND /a/../b"]);
    const old = await proxy.fetch(URL_A, { version: "1.0", headers: { "x-a": "1" } });
    expect(old.session.request.version).toBe("1.0");
    expect(old.session.keepAlive).toBe(false);
  });

  it("is told what the former request on its connection left", async () => {
    const seen: unknown[] = [];
    const callbacks: ProxyHttp = {
      ...plain,
      onConnectionReuse: (_session, _ctx, previous) => void seen.push(previous),
    };
    await testProxy(callbacks, { origin: () => new Response() }).fetch(URL_A, { previous: "user 7" });
    expect(seen).toEqual(["user 7"]);
  });

  it("that a server would refuse is refused before any callback", async () => {
    let called = false;
    const callbacks: ProxyHttp = {
      ...plain,
      earlyRequestFilter() {
        called = true;
      },
    };
    const proxy = testProxy(callbacks, { origin: () => new Response() });
    const both = { "content-length": "3", "transfer-encoding": "chunked" };
    await expect(proxy.fetch(URL_A, { method: "POST", headers: both, body: "tea" })).rejects.toThrow(MalformedMessage);
    await expect(proxy.fetch(URL_A, { target: "/a b" })).rejects.toThrow();
    await expect(proxy.fetch(URL_A, { method: "GET /\r\nX: y" })).rejects.toThrow();
    await expect(proxy.fetch(URL_A, { headers: { "x-a": "1\r\nx-b: 2" } })).rejects.toThrow(TypeError);
    await expect(proxy.fetch("ftp://a.example/")).rejects.toThrow("neither http: nor https:");
    expect(called).toBe(false);
  });

  it.each(["2", "4"])("whose body is not of its declared length, %s, is 400", async (length) => {
    const proxy = testProxy(plain, { origin: async (request) => new Response(await request.text()) });
    const headers = { "content-length": length };
    const { response, error } = await proxy.fetch(URL_A, { method: "POST", headers, body: "tea" });
    expect(response.status).toBe(400);
    expect(error).toMatchObject({ source: "downstream", status: 400 });
  });

  it("and its response may have trailers and interim responses", async () => {
    const proxy = testProxy(plain, {
      origin: () =>
        new OriginResponse("hi", {
          interim: [{ status: 103, headers: { link: "</a.css>" } }],
          trailers: { "x-sum": "1", "content-length": "9" },
        }),
    });
    const { response, interim, trailers, originRequests } = await proxy.fetch(URL_A, {
      method: "POST",
      body: "tea",
      trailers: { "x-digest": "2" },
    });
    expect(await response.text()).toBe("hi");
    expect(interim.map((head) => [head.status, head.headers.get("link")])).toEqual([[103, "</a.css>"]]);
    expect(trailers?.toJSON()).toEqual({ "x-sum": "1" });
    expect(originRequests[0]?.trailers?.toJSON()).toEqual({ "x-digest": "2" });
    expect(await originRequests[0]?.request.text()).toBe("tea");
  });
});

describe("an origin in memory", () => {
  it("that cannot be connected to is followed by another attempt", async () => {
    let connects = 0;
    const callbacks: ProxyHttp = { ...plain, failToConnect: (_session, _peer, _ctx, error) => error };
    const proxy = testProxy(callbacks, {
      origin: () => new Response("ok"),
      connect(to) {
        if (++connects === 1) throw connectRefused(to);
      },
    });
    const { response, session, callbacks: called, log } = await proxy.fetch(URL_A, { method: "POST", body: "tea" });
    expect(await response.text()).toBe("ok");
    expect(session.attempts).toBe(2);
    expect(called).toEqual(["upstreamPeer", "failToConnect", "upstreamPeer"]);
    expect(log).toMatchObject([{ level: "warn", error: { code: "ConnectRefused" } }]);
  });

  it("that is never to be connected to is 502, and logged", async () => {
    const proxy = testProxy(plain, {
      origin: () => new Response("ok"),
      connect(to) {
        throw connectRefused(to);
      },
    });
    const { response, error, log, originRequests } = await proxy.fetch(URL_A);
    expect(response.status).toBe(502);
    expect(error?.code).toBe("ConnectRefused");
    expect(log.map(({ level }) => level)).toEqual(["warn", "warn", "error"]);
    expect(originRequests).toEqual([]);
  });

  it("that resets a kept connection is asked again, by a method that may be sent twice", async () => {
    let requests = 0;
    const origin = (): Response => {
      if (++requests === 2) throw connectionReset();
      return new Response("ok");
    };
    const proxy = testProxy(plain, { origin });
    await proxy.fetch(URL_A);
    const { response, originRequests } = await proxy.fetch(URL_A);
    expect(response.status).toBe(200);
    expect(originRequests.map(({ reused }) => reused)).toEqual([true, false]);
    requests = 1;
    const post = await proxy.fetch(URL_A, { method: "POST", body: "tea" });
    expect(post.response.status).toBe(502);
    expect(post.session.attempts).toBe(1);
  });

  it("that is late is overtaken by another one, and told so", async () => {
    let late: AbortSignal | undefined;
    const others = [new HttpPeer("10.0.0.1:80"), new HttpPeer("10.0.0.2:80")] as const;
    let next = 0;
    const proxy = testProxy(
      { upstreamPeer: () => others[next++ % 2 === 0 ? 0 : 1] },
      {
        retry: { hedge: { afterMs: 1 } },
        origin(request, to) {
          if (to === others[1]) return new Response("second");
          late = request.signal;
          return new Promise<Response>(() => {});
        },
      },
    );
    const { response, session } = await proxy.fetch(URL_A);
    expect(await response.text()).toBe("second");
    expect(session.attempts).toBe(2);
    expect(late?.aborted).toBe(true);
  });

  it("that sends less than it declares is seen to be cut", async () => {
    const proxy = testProxy(plain, { origin: () => new Response("four", { headers: { "content-length": "9" } }) });
    const { response, error } = await proxy.fetch(URL_A);
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toMatchObject({ code: "ConnectionClosed", source: "upstream" });
    expect(error?.code).toBe("ConnectionClosed");
  });

  it("that sends more than it declares is clipped, and its connection not used again", async () => {
    const proxy = testProxy(plain, { origin: () => new Response("fourteen", { headers: { "content-length": "4" } }) });
    expect(await (await proxy.fetch(URL_A)).response.text()).toBe("four");
    expect((await proxy.fetch(URL_A)).originRequests[0]?.reused).toBe(false);
  });

  it("whose body breaks leaves the client what came, and then a failure", async () => {
    const proxy = testProxy(plain, {
      origin: () => {
        const pieces = ["one", "two"];
        return new Response(
          new ReadableStream({
            pull(controller) {
              const piece = pieces.shift();
              if (piece === undefined) controller.error(connectionReset());
              else controller.enqueue(Buffer.from(piece));
            },
          }),
        );
      },
    });
    const { response } = await proxy.fetch(URL_A);
    const got: string[] = [];
    await expect(
      (async () => {
        for await (const piece of response.body ?? []) got.push(Buffer.from(piece).toString());
      })(),
    ).rejects.toThrow("broke");
    expect(got.join("")).toBe("onetwo");
  });

  it("that is silent for too long is 504", async () => {
    const slow = new HttpPeer("10.0.0.2:80", { readTimeoutMs: 5 });
    let gone = false;
    const proxy = testProxy(
      { upstreamPeer: () => slow },
      {
        origin: (request) => {
          const silence = Promise.withResolvers<Response>();
          request.signal.addEventListener("abort", () => {
            gone = true;
          });
          return silence.promise;
        },
      },
    );
    expect((await proxy.fetch(URL_A)).response.status).toBe(504);
    expect(gone).toBe(true);
  });

  it("that answers without reading holds the client back, and costs no memory", async () => {
    let pulled = 0;
    const proxy = testProxy(plain, { origin: () => new Response("no", { status: 413 }) });
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(Buffer.alloc(16 * 1024));
      },
    });
    const { response } = await proxy.fetch(URL_A, { method: "POST", body });
    expect(response.status).toBe(413);
    expect(pulled).toBeLessThan(20);
  });

  it("with a mistake in it makes the test fail", async () => {
    const origin = (): Response => {
      throw new RangeError("a typing error");
    };
    await expect(testProxy(plain, { origin }).fetch(URL_A)).rejects.toThrow("a typing error");
    const connect = (): void => {
      throw new RangeError("another one");
    };
    const proxy = testProxy(plain, { origin: () => new Response(), connect });
    await expect(proxy.fetch(URL_A)).rejects.toThrow("another one");
  });
});

describe("a client in memory", () => {
  it("that leaves before the answer gets none, and the origin is told", async () => {
    const leaving = new AbortController();
    let aborted = false;
    const proxy = testProxy(plain, {
      origin: (request) => {
        request.signal.addEventListener("abort", () => {
          aborted = true;
        });
        leaving.abort(new Error("no patience"));
        return new Promise<Response>(() => {});
      },
    });
    const { response, error, session } = await proxy.fetch(URL_A, { signal: leaving.signal });
    expect(response.type).toBe("error");
    expect(error).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    expect(session.signal.aborted).toBe(true);
    expect(aborted).toBe(true);
  });

  it("that has left already asks for nothing", async () => {
    const proxy = testProxy(plain, { origin: () => new Response("x") });
    const { error, response } = await proxy.fetch(URL_A, { signal: AbortSignal.abort() });
    expect(error?.source).toBe("downstream");
    expect(response.type).toBe("error");
  });

  it("that leaves in the middle of a response ends it", async () => {
    const leaving = new AbortController();
    let cancelled = false;
    const proxy = testProxy(
      { ...plain, upstreamResponseBodyFilter: () => void setImmediate(() => leaving.abort()) },
      {
        origin: () =>
          new Response(
            new ReadableStream({
              start: (controller) => controller.enqueue(Buffer.from("event\n")),
              cancel() {
                cancelled = true;
              },
            }),
          ),
      },
    );
    const { response, error } = await proxy.fetch(URL_A, { signal: leaving.signal });
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toMatchObject({ code: "ConnectionClosed" });
    expect(error?.source).toBe("downstream");
    expect(cancelled).toBe(true);
  });

  it("does not wait for a body without end", async () => {
    const piece = Buffer.alloc(8 * 1024 * 1024);
    const pull = (controller: ReadableStreamDefaultController): void => controller.enqueue(piece);
    const proxy = testProxy(plain, { origin: () => new Response(new ReadableStream({ pull })) });
    await expect(proxy.fetch(URL_A)).rejects.toThrow("does it end?");
  });
});
