import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { HttpPeer } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { gateway } from "../../examples/subrequests/permission.ts";
import { bodyLimits, HttpProxy, type ProxyHttp, type Session } from "../../src/index.ts";
import { OriginResponse, testProxy } from "../../src/testing/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "../harness/test-proxy.ts";

const peer = new HttpPeer("10.0.0.1:80");
const SITE = "http://a.example/";
const echo = async (request: Request): Promise<Response> =>
  new Response(`${request.method} ${new URL(request.url).pathname} ${await request.text()}`);

/** A proxy that allows subrequests, with a filter for clients' own requests. */
function allowing(
  filter: (session: Session) => Promise<Response | undefined> | Response | undefined,
  more: Partial<ProxyHttp> = {},
): ProxyHttp {
  return {
    allowSubrequests: () => true,
    requestFilter: (session) => (session.parent === undefined ? filter(session) : undefined),
    upstreamPeer: () => peer,
    ...more,
  };
}

/** A request with a body from this stream. */
function streaming(path: string, body: ReadableStream<Uint8Array>): Request {
  return new Request(new URL(path, SITE), { method: "POST", body, duplex: "half" } as RequestInit);
}

describe("a subrequest", () => {
  it("goes through the whole proxy, and its callbacks can tell", async () => {
    const proxy = testProxy(
      allowing(async (session) => {
        const response = await session.subrequest("/inner?x", { data: { key: 7 } });
        return new Response(`got: ${await response.text()}`);
      }),
      { origin: echo },
    );
    const { response, subrequests, originRequests, callbacks } = await proxy.fetch(SITE, {
      clientAddress: "192.0.2.9:1",
    });
    expect(await response.text()).toBe("got: GET /inner ");
    expect(callbacks).toEqual(["allowSubrequests", "requestFilter"]);
    expect(subrequests).toHaveLength(1);
    expect(subrequests[0]?.callbacks).toEqual(["allowSubrequests", "requestFilter", "upstreamPeer"]);
    const inner = subrequests[0]?.session;
    expect(inner?.parent).toMatchObject({ depth: 1, background: false, data: { key: 7 } });
    expect(inner?.parent?.session.request.target).toBe("/");
    expect(inner).toMatchObject({ clientAddress: "192.0.2.9:1", response: { status: 200 } });
    expect(originRequests[0]?.request.url).toBe("http://a.example/inner?x");
  });

  it("has no more of the client's request than it is given", async () => {
    const proxy = testProxy(
      allowing(async (session) => {
        const headers = { "x-a": "1", connection: "x-hop", "x-hop": "2", "keep-alive": "5" };
        return session.subrequest(new Request("http://other.example/", { method: "PUT", body: "tea", headers }));
      }),
      { origin: echo },
    );
    const { response, originRequests } = await proxy.fetch(SITE, { headers: { authorization: "secret" } });
    expect(await response.text()).toBe("PUT / tea");
    const seen = originRequests[0]?.request;
    expect(seen?.headers.get("host")).toBe("other.example");
    expect(seen?.headers.get("x-a")).toBe("1");
    for (const name of ["authorization", "x-hop", "keep-alive", "connection"])
      expect(seen?.headers.has(name)).toBe(false);
  });

  it("is not to be had without permission", async () => {
    for (const permission of [undefined, () => false]) {
      const { error, response } = await testProxy(
        {
          ...(permission && { allowSubrequests: permission }),
          requestFilter: (session) => session.subrequest("/"),
          upstreamPeer: () => peer,
        },
        { origin: echo },
      ).fetch(SITE);
      expect(response.status).toBe(500);
      expect(error?.message).toContain("allowSubrequests");
    }
    const spawning: ProxyHttp = {
      requestFilter: (session) => void session.spawnSubrequest("/"),
      upstreamPeer: () => peer,
    };
    expect((await testProxy(spawning, { origin: echo }).fetch(SITE)).error?.message).toContain("allowSubrequests");
  });

  it("of a subrequest goes so deep, and no deeper", async () => {
    let deepest = 0;
    const proxy = testProxy(
      {
        allowSubrequests: () => true,
        requestFilter(session) {
          deepest = Math.max(deepest, session.parent?.depth ?? 0);
          return session.subrequest("/");
        },
        upstreamPeer: () => peer,
      },
      { origin: echo, subrequests: { maxDepth: 2 } },
    );
    const { response, subrequests } = await proxy.fetch(SITE);
    expect(response.status).toBe(508);
    expect(deepest).toBe(2);
    expect(subrequests).toHaveLength(2);
  });

  it.each(["ftp://a.example/", "http://"])("to %s is refused", async (address) => {
    const { error } = await testProxy(
      allowing((session) => session.subrequest(address)),
      { origin: echo },
    ).fetch(SITE);
    expect(error).toMatchObject({ code: "InvalidArgument", message: expect.stringContaining("neither a path") });
  });

  it("with a length that is none, or a body that was read, is refused", async () => {
    const wrong = new Request(SITE, { method: "POST", body: "tea", headers: { "content-length": "many" } });
    const read = new Request(SITE, { method: "POST", body: "tea" });
    await read.text();
    for (const [request, message] of [
      [wrong, "Content-Length"],
      [read, "sent once"],
    ] as const) {
      const { error } = await testProxy(
        allowing((session) => session.subrequest(request)),
        { origin: echo },
      ).fetch(SITE);
      expect(error?.message).toContain(message);
    }
  });

  it("that fails has the response that a client would get", async () => {
    const proxy = testProxy(
      allowing(async (session) => new Response(String((await session.subrequest("/inner")).status))),
      {
        origin: echo,
        connect() {
          throw new Error("no way");
        },
      },
    );
    await expect(proxy.fetch(SITE)).rejects.toThrow("no way");
    const refusing = testProxy(
      allowing(async (session) => new Response(String((await session.subrequest("/inner")).status)), {
        proxyUpstreamFilter: () => false,
      }),
      { origin: echo },
    );
    expect(await (await refusing.fetch(SITE)).response.text()).toBe("502");
  });

  it("ends with the request that it is for", async () => {
    let ended: Promise<unknown> | undefined;
    const proxy = testProxy(
      allowing(async (session) => {
        const endless = await session.subrequest("/endless");
        ended = endless.text();
        ended.catch(() => {});
        return new Response("enough");
      }),
      { origin: () => new Response(new ReadableStream({ start: (to) => to.enqueue(Buffer.from("event")) })) },
    );
    const { response, subrequests } = await proxy.fetch(SITE);
    expect(await response.text()).toBe("enough");
    await expect(ended).rejects.toMatchObject({ code: "ConnectionClosed" });
    expect(subrequests[0]?.error?.source).toBe("downstream");
  });

  it("ends when the client leaves, or by its own signal", async () => {
    const leaving = new AbortController();
    const given = new AbortController();
    const silent = (): Promise<Response> => {
      leaving.abort();
      return new Promise<Response>(() => {});
    };
    const filter = (session: Session): Promise<Response> => session.subrequest("/silent", { signal: given.signal });
    const left = await testProxy(allowing(filter), { origin: silent }).fetch(SITE, { signal: leaving.signal });
    expect(left.response.type).toBe("error");
    expect(left.subrequests[0]?.error?.source).toBe("downstream");

    const stopping = testProxy(allowing(filter), {
      origin() {
        given.abort();
        return new Promise<Response>(() => {});
      },
    });
    const stopped = await stopping.fetch(SITE);
    expect(stopped.subrequests[0]?.error?.code).toBe("ConnectionClosed");
    expect(stopped.response.type).toBe("error");
  });

  it("cannot be attached to a request that is over", async () => {
    let late: unknown;
    const proxy = testProxy(
      allowing(() => undefined, {
        async logging(session) {
          if (session.parent === undefined) late = await session.subrequest("/").catch((error: unknown) => error);
        },
      }),
      { origin: echo },
    );
    await proxy.fetch(SITE);
    expect(late).toMatchObject({ code: "InvalidArgument", message: expect.stringContaining("spawnSubrequest") });
  });
});

describe("a subrequest that is sent to the client", () => {
  it("has the client's body, and may be changed on its way", async () => {
    const proxy = testProxy(
      allowing(async (session) => {
        const response = await session.subrequest(streaming("/inner", session.readRequestBody()));
        const upper = new TransformStream<Uint8Array, Uint8Array>({
          transform: (piece, to) => to.enqueue(Buffer.from(Buffer.from(piece).toString().toUpperCase())),
        });
        return new Response(response.body?.pipeThrough(upper), { status: 203 });
      }),
      { origin: echo },
    );
    const { response } = await proxy.fetch(SITE, { method: "POST", body: "a cup of tea" });
    expect(response.status).toBe(203);
    expect(await response.text()).toBe("POST /INNER A CUP OF TEA");
  });

  it("is seen to be cut where it is", async () => {
    const proxy = testProxy(
      allowing((session) => session.subrequest("/inner")),
      {
        origin: () => new Response("four", { headers: { "content-length": "9" } }),
      },
    );
    const { response } = await proxy.fetch(SITE);
    await expect(response.text()).rejects.toThrow();
  });

  it("carries large bodies both ways, over sockets", async () => {
    await using origin = await RawOrigin.answering(({ body }) => okResponse(body));
    await using proxy = await TestProxy.start(
      allowing((session) => session.subrequest(streaming("/inner", session.readRequestBody())), {
        upstreamPeer: () => origin.peer(),
      }),
    );
    const body = "0123456789".repeat(50_000);
    const [response] = readResponses(await proxy.exchange(post(body)));
    expect(response?.status).toBe(200);
    expect(response?.body === body).toBe(true);
  });
});

describe("what a subrequest carries", () => {
  const piece = Buffer.alloc(16 * 1024);

  it("comes no faster than its response is read", async () => {
    let pulled = 0;
    const pull = (to: ReadableStreamDefaultController): void => {
      pulled++;
      to.enqueue(piece);
    };
    const proxy = testProxy(
      allowing(async (session) => {
        const reader = (await session.subrequest("/endless")).body?.getReader();
        await reader?.read();
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
        return new Response("enough");
      }),
      { origin: () => new Response(new ReadableStream({ pull })) },
    );
    expect(await (await proxy.fetch(SITE)).response.text()).toBe("enough");
    expect(pulled).toBeLessThan(12);
  });

  it("goes no faster than the request body is read", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(to) {
        pulled++;
        to.enqueue(piece);
      },
    });
    const proxy = testProxy(
      allowing(async (session) => {
        await session.readRequestBody().getReader().read();
        for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
        return new Response("enough");
      }),
      { origin: echo },
    );
    expect(await (await proxy.fetch(SITE, { method: "POST", body })).response.text()).toBe("enough");
    expect(pulled).toBeLessThan(12);
  });
});

describe("the request body that a callback reads", () => {
  it("goes to the origin as well, when it fits the retry buffer", async () => {
    let read = "";
    const proxy = testProxy(
      allowing(async (session) => {
        read = await new Response(session.readRequestBody()).text();
        return undefined;
      }),
      { origin: echo, retryBufferBytes: 8 },
    );
    const { response } = await proxy.fetch(SITE, { method: "POST", body: "tea" });
    expect(read).toBe("tea");
    expect(await response.text()).toBe("POST / tea");
    const long = await proxy.fetch(SITE, { method: "POST", body: "nine bytes" });
    expect(long.response.status).toBe(500);
    expect(long.error?.message).toContain("retryBufferBytes");
  });

  it("goes to the origin whole, though only its beginning was read", async () => {
    const proxy = testProxy(
      allowing(async (session) => {
        const reader = session.readRequestBody().getReader();
        await reader.read();
        await reader.cancel();
        return undefined;
      }),
      { origin: echo },
    );
    const pieces = ["a ", "cup ", "of tea"];
    const body = new ReadableStream<Uint8Array>({
      pull(to) {
        const piece = pieces.shift();
        if (piece === undefined) to.close();
        else to.enqueue(Buffer.from(piece));
      },
    });
    const { response } = await proxy.fetch(SITE, { method: "POST", body });
    expect(await response.text()).toBe("POST / a cup of tea");
  });

  it("has passed the modules and the filter", async () => {
    await using proxy = await TestProxy.start(
      allowing(async (session) => new Response(session.readRequestBody()), {
        requestBodyFilter(_session, chunk) {
          chunk.data = chunk.data && Buffer.from(chunk.data.toString().toUpperCase());
        },
      }),
      { modules: [bodyLimits({ requestBytes: 5 })] },
    );
    expect(readResponses(await proxy.exchange(postChunks("3\r\ntea\r\n0\r\n\r\n")))[0]?.body).toBe("TEA");
    expect(readResponses(await proxy.exchange(postChunks("6\r\ncoffee\r\n0\r\n\r\n")))[0]?.status).toBe(413);
  });

  it("can be read once, and only if there is one", async () => {
    const twice = testProxy(
      allowing((session) => {
        session.readRequestBody();
        session.readRequestBody();
        return undefined;
      }),
      { origin: echo },
    );
    expect((await twice.fetch(SITE, { method: "POST", body: "tea" })).error?.message).toContain("read before");
    expect((await twice.fetch(SITE)).error?.message).toContain("no request body");
  });
});

describe("a subrequest in the background", () => {
  it("goes on when the request is over, and nobody waits for it", async () => {
    const release = Promise.withResolvers<void>();
    let sent: boolean | undefined;
    const proxy = testProxy(
      allowing(
        (session) => {
          sent = session.spawnSubrequest("/inner", { data: "refresh" });
          return new Response("at once");
        },
        { logging: (session) => void (session.parent === undefined && release.resolve()) },
      ),
      {
        async origin() {
          await release.promise;
          return new OriginResponse("x".repeat(300_000));
        },
      },
    );
    const { response, subrequests } = await proxy.fetch(SITE);
    expect(sent).toBe(true);
    expect(await response.text()).toBe("at once");
    expect(subrequests[0]).toMatchObject({ error: undefined, session: { bodyBytesSent: 300_000 } });
    expect(subrequests[0]?.session.parent).toMatchObject({ background: true, data: "refresh" });
  });

  it("is not sent when there are as many as may be", async () => {
    const sent: boolean[] = [];
    const proxy = testProxy(
      allowing((session) => {
        for (let i = 0; i < 3; i++) sent.push(session.spawnSubrequest(`/${i}`));
        return new Response("ok");
      }),
      { origin: echo, subrequests: { maxBackground: 2 } },
    );
    const { subrequests } = await proxy.fetch(SITE);
    expect(sent).toEqual([true, true, false]);
    expect(subrequests).toHaveLength(2);
  });

  it("is waited for when the proxy stops, unless it is to stop at once", async () => {
    await using origin = await RawOrigin.start();
    const callbacks = allowing(
      (session) => {
        session.spawnSubrequest("/inner");
        return new Response("ok");
      },
      { upstreamPeer: () => origin.peer() },
    );
    for (const force of [false, true]) {
      const started = await TestProxy.start(callbacks);
      await started.exchange(get());
      const connection = await origin.connections.at(force ? 1 : 0);
      await connection.request();
      const stop = new AbortController();
      let stopped = false;
      const drained = started.proxy.drain(stop.signal).then(() => {
        stopped = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(stopped).toBe(false);
      if (force) stop.abort();
      else connection.send(okResponse("done"));
      await drained;
      await started[Symbol.asyncDispose]();
    }
  });

  it.each([{ maxDepth: -1 }, { maxBackground: Number.NaN }])("may not be limited by %o", (subrequests) => {
    expect(
      () =>
        new HttpProxy(
          allowing(() => undefined),
          { subrequests },
        ),
    ).toThrow("a count is expected");
  });
});

describe("the example of the guide", () => {
  const origin = (request: Request): Response => {
    const { pathname } = new URL(request.url);
    if (pathname === "/me")
      return new Response("ann", { status: request.headers.get("cookie") === "id=1" ? 200 : 403 });
    return new Response(`for ${request.headers.get("x-user")}`);
  };

  it("is the file", async () => {
    const root = join(import.meta.dirname, "../..");
    const page = await readFile(join(root, "../../docs/guide/subrequests.md"), "utf8");
    expect(page).toContain(await readFile(join(root, "examples/subrequests/permission.ts"), "utf8"));
  });

  it("lets ann in, nobody else, and reports what was sold", async () => {
    const proxy = testProxy(gateway, { origin });
    const bought = await proxy.fetch(SITE, { method: "POST", headers: { cookie: "id=1" } });
    expect(await bought.response.text()).toBe("for ann");
    expect(bought.originRequests.map(({ request }) => request.url)).toContain("http://users.internal/purchases");
    expect((await proxy.fetch(SITE)).response.status).toBe(401);
  });
});
