import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { HttpPeer, type PeerOptions } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { certificate, privateKey } from "./harness/backend-test-certificate.ts";
import { okResponse, RawOrigin, type ReadRequest, refusingAddress } from "./harness/raw-origin.ts";
import { RawPeer, settled } from "./harness/raw-peer.ts";
import { Recorder } from "./harness/recorder.ts";
import { readRequestsStrictly, readResponsesStrictly } from "./harness/strict-reader.ts";
import { get, post, postChunks, TestProxy } from "./harness/test-proxy.ts";

// What other proxies fell over, by the source that tells of it. The change of protocols has its own: upgrade.test.ts.

const SMUGGLED = "GET /admin HTTP/1.1\r\nHost: a.example\r\n\r\n";

/** An origin that answers "ok", and the requests it was sent. */
async function recordingOrigin(): Promise<{ origin: RawOrigin; requests: Recorder<ReadRequest> }> {
  const requests = new Recorder<ReadRequest>();
  const origin = await RawOrigin.answering((request) => {
    requests.add(request);
    return okResponse("ok");
  });
  return { origin, requests };
}

function statuses(text: string): readonly string[] {
  return readResponsesStrictly(text).messages.map(({ line }) => line.split(" ")[1] ?? "");
}

describe("CVE-2026-29057, GHSA-ggv3-7p47-pfv8: the body of a chunked DELETE or OPTIONS is sent on as a request", () => {
  it.each(["DELETE", "OPTIONS", "GET", "HEAD", "TRACE"])("%s keeps its framing and its body", async (method) => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const size = SMUGGLED.length.toString(16);
    await proxy.exchange(postChunks(`${size}\r\n${SMUGGLED}\r\n0\r\n\r\n`).replace("POST", method));
    await settled();
    expect(requests.items.map(({ head, body }) => [head.method, head.path, body])).toEqual([[method, "/", SMUGGLED]]);
  });
});

describe("httpxy #158: a chunked request leaves an origin connection out of step", () => {
  it("one coding is sent, and the next client's request is the next", async () => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    await proxy.exchange(postChunks("1;x=y\r\nz\r\n0\r\n\r\n", "Connection: keep-alive, close\r\n"));
    await proxy.exchange(get("/next"));
    expect(requests.items.map(({ head, body }) => [head.path, body])).toEqual([
      ["/", "z"],
      ["/next", ""],
    ]);
    expect(readRequestsStrictly((await origin.connections.at(0)).text).messages).toHaveLength(2);
  });
});

describe("CVE-2021-21321, CVE-2021-21322, CVE-2026-85124, CVE-2026-16117: a path that one side reads otherwise", () => {
  it.each(["/a/../admin", "/a/..\\admin", "/a/%2e%2e/admin", "/a%2fadmin", "//admin", "/%61dmin", "/a/.;/admin"])(
    "%s reaches filter and origin as the same bytes",
    async (path) => {
      const { origin, requests } = await recordingOrigin();
      await using _origin = origin;
      const seen = new Recorder<string>();
      await using proxy = await TestProxy.start({
        requestFilter: (session) => seen.add(session.request.path),
        upstreamPeer: () => origin.peer(),
      });
      await proxy.exchange(get(`${path}?q=../x`));
      expect(seen.items).toEqual([path]);
      expect(requests.items.map(({ head }) => head.target)).toEqual([`${path}?q=../x`]);
    },
  );
});

describe("CVE-2026-16158: peers that differ are kept under one key", () => {
  it("two that share an address, and not their group, share no connection", async () => {
    const { origin } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({
      upstreamPeer: ({ request }) => origin.peer({ groupKey: request.headers.get("x-group") ?? "" }),
    });
    await proxy.exchange(get("/", "X-Group: a\r\nConnection: close\r\n"));
    await proxy.exchange(get("/", "X-Group: b\r\nConnection: close\r\n"));
    await proxy.exchange(get("/", "X-Group: a\r\nConnection: close\r\n"));
    expect(origin.connections.length).toBe(2);
  });
});

describe("CVE-2026-107318: the origin's certificate is not verified", () => {
  async function answer(options: PeerOptions): Promise<{ status: string | undefined; text: string; log: string }> {
    const server = createTlsServer({ cert: certificate, key: privateKey }, (socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(okResponse("secret")));
    });
    const sockets = new Set<TLSSocket>();
    server.on("secureConnection", (socket) => sockets.add(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // it listens on a port
    try {
      await using proxy = await TestProxy.start({ upstreamPeer: () => new HttpPeer(`127.0.0.1:${port}`, options) });
      const text = await proxy.exchange(get());
      return { status: statuses(text)[0], text, log: String(proxy.logger.records.at(-1)?.fields.err) };
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  }

  it("one that nobody vouches for is 502, and the reason is for the log alone", async () => {
    const { status, text, log } = await answer({ sni: "backend.test" });
    expect(status).toBe("502");
    expect(text).not.toContain("secret");
    expect(text).not.toMatch(/certificate/i);
    expect(log).toContain("InvalidCert");
  });

  it("one that is for another name is 502", async () => {
    expect((await answer({ sni: "other.test", ca: certificate })).status).toBe("502");
  });

  it("one that is for an address is 502 when it names none", async () => {
    expect((await answer({ tls: true, ca: certificate })).status).toBe("502");
  });

  it("the right one is taken", async () => {
    expect((await answer({ sni: "backend.test", ca: certificate })).text).toContain("secret");
  });
});

describe("a client names in Connection what the proxy adds, and has it removed", () => {
  it("what a filter adds stays; what the client sent and named goes", async () => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: ({ clientAddress }, request) => {
        request.headers.set("x-forwarded-for", clientAddress).set("x-added-by-proxy", "1");
      },
    });
    const lines = "Connection: close, X-Added-By-Proxy, X-Forwarded-For, X-Mine\r\nX-Mine: 2\r\n";
    await proxy.exchange(get("/", lines));
    const headers = (await requests.at(0)).head.headers;
    expect(headers.get("x-added-by-proxy")).toBe("1");
    expect(headers.get("x-forwarded-for")).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(headers.has("x-mine")).toBe(false);
  });

  it("Host, cookies and credentials cannot be named away", async () => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const lines =
      "Connection: close, Host, Cookie, Authorization, Content-Length\r\nCookie: a=1\r\nAuthorization: Basic x\r\n";
    await proxy.exchange(post("hello", lines));
    const { head, body } = await requests.at(0);
    expect(head.headers.toJSON()).toMatchObject({ host: "a.example", cookie: "a=1", authorization: "Basic x" });
    expect(body).toBe("hello");
  });
});

describe("h3: what the proxy knows of its origins reaches the client", () => {
  it.each(["refuses", "closes", "answers garbage"])("an origin that %s leaves no trace in the answer", async (how) => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      if (how === "closes") connection.end();
      else connection.send("SSH-2.0-secret\r\n");
    });
    const address = how === "refuses" ? await refusingAddress() : origin.address;
    await using proxy = await TestProxy.start({ upstreamPeer: () => new HttpPeer(address) });
    const text = await proxy.exchange(get());
    expect(statuses(text)).toEqual(["502"]);
    expect(text).not.toMatch(/127\.0\.0\.1|ECONN|secret|origin|\.ts/);
    expect(text).not.toContain(address.split(":")[1]);
    expect(String(proxy.logger.records.at(-1)?.fields.err)).toMatch(/refused|closed|malformed/i);
  });

  it("a callback that throws leaves none either", async () => {
    await using proxy = await TestProxy.start({
      upstreamPeer: () => {
        throw new Error("password=hunter2");
      },
    });
    const text = await proxy.exchange(get());
    expect(statuses(text)).toEqual(["500"]);
    expect(text).not.toContain("hunter2");
  });
});

describe("h3: deadlines beyond 2^31 ms fire at once, and parts of a millisecond are none", () => {
  it("a response may be waited for for ever", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      for (let count = 0; count < 2; count++) {
        await connection.request();
        await settled();
        connection.send(okResponse("late"));
      }
    });
    const timeouts = { readTimeoutMs: 2 ** 31 + 5, writeTimeoutMs: 2 ** 40, connectionTimeoutMs: 2 ** 33 };
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer({ ...timeouts, idleTimeoutMs: 2 ** 35 }) },
      { tunnelIdleTimeoutMs: 2 ** 32, server: { keepAliveTimeoutMs: 2 ** 31, firstByteTimeoutMs: 2 ** 31 + 1 } },
    );
    expect(await proxy.exchange(get("/", "") + get())).toMatch(/late.*late$/s);
  });

  it("half a millisecond is a deadline, which passes", async () => {
    await using origin = await RawOrigin.start();
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer({ readTimeoutMs: 0.5 }) });
    expect(statuses(await proxy.exchange(get()))).toEqual(["504"]);
  });
});

describe("fastify-reply-from #374, httpxy #106: an odd status or field of an origin takes the process down", () => {
  it.each([
    ["888", "888"],
    ["999", "999"],
    ["99", "502"],
    ["000", "502"],
    ["1000", "502"],
    ["2xx", "502"],
  ])("status %s is answered by %s", async (status, expected) => {
    await using origin = await RawOrigin.answering(`HTTP/1.1 ${status} Odd\r\nContent-Length: 0\r\n\r\n`);
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    expect(statuses(await proxy.exchange(get()))).toEqual([expected]);
    expect(statuses(await proxy.exchange(get()))).toEqual([expected]);
  });

  it("a field with control characters is 502, and the next request is served", async () => {
    await using origin = await RawOrigin.answering(({ head }) =>
      head.path === "/bad" ? okResponse("", "X-A: \x01\r\n") : okResponse("good"),
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    expect(statuses(await proxy.exchange(get("/bad")))).toEqual(["502"]);
    expect(statuses(await proxy.exchange(get("/good")))).toEqual(["200"]);
  });
});

describe("http-proxy #460: what fails behind a response that is over is taken for a failure of it", () => {
  it("an origin that resets behind its response has answered", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      await connection.sendNow(okResponse("whole"));
      await settled();
      connection.reset();
    });
    const logged = new Recorder<unknown>();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      logging: (_session, error) => logged.add(error),
    });
    expect(await proxy.exchange(get())).toMatch(/whole$/);
    await (await origin.connections.at(0)).whenClosed();
    await settled();
    expect(logged.items).toEqual([undefined]);
    expect(proxy.logger.messages("error")).toEqual([]);
  });
});

describe("httpxy #120: what a filter adds to the request is there twice behind a retry", () => {
  it("each attempt starts from what the client sent", async () => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using dying = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.end();
    });
    await using proxy = await TestProxy.start({
      upstreamPeer: (session) => (session.attempts === 1 ? dying.peer() : origin.peer()),
      upstreamRequestFilter: (_session, request) => {
        request.headers.append("x-forwarded-for", "192.0.2.1");
      },
      errorWhileProxy: (_peer, _session, error) => {
        error.retry = true;
        return error;
      },
    });
    expect(statuses(await proxy.exchange(get()))).toEqual(["200"]);
    expect((await requests.at(0)).head.headers.getAll("x-forwarded-for")).toEqual(["192.0.2.1"]);
  });
});

describe("http-proxy-3: the brackets of an IPv6 address are looked up as a name", () => {
  it("[::1] is connected to", async () => {
    await using origin = await RawOrigin.answering(okResponse("six"), "::1");
    await using proxy = await TestProxy.start({ upstreamPeer: () => new HttpPeer(`[::1]:${origin.port}`) });
    expect(await proxy.exchange(get())).toMatch(/six$/);
  });
});

describe("Pingora 0.6, 0.8: bytes behind a body are taken for part of the connection", () => {
  it("behind a client's body they are the next request, and nothing else", async () => {
    const { origin, requests } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const text = await proxy.exchange(`${post("hello", "")}garbage\r\n\r\n`);
    expect(statuses(text)).toEqual(["200", "400"]);
    expect(requests.items.map(({ body }) => body)).toEqual(["hello"]);
  });

  it("behind an origin's body they end its connection", async () => {
    await using origin = await RawOrigin.answering(`${okResponse("own")}surplus`);
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    const text = await proxy.exchange(get("/", "") + get());
    expect(text).not.toContain("surplus");
    expect(statuses(text)).toEqual(["200", "200"]);
    expect(origin.connections.length).toBe(2);
  });
});

describe("CVE-2025-4366: a request body that nobody read is taken for the next request", () => {
  it.each(["requestFilter", "upstreamPeer", "an error", "an early answer of the origin"])(
    "when %s answers",
    async (who) => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.requestHead();
        connection.send(okResponse("early"));
      });
      const answer = (): Response => new Response("early");
      await using proxy = await TestProxy.start({
        requestFilter: (session) => {
          if (session.request.path === "/next") return new Response("next");
          if (who === "requestFilter") return answer();
          if (who === "an error") throw new Error("no");
          return undefined;
        },
        upstreamPeer: () => (who === "upstreamPeer" ? answer() : origin.peer()),
      });
      const client = await proxy.client();
      // The body comes behind the answer, as two messages would.
      client.send(post(SMUGGLED, "").slice(0, -SMUGGLED.length));
      await client.until("\r\n\r\n");
      client.send(SMUGGLED + get("/next"));
      const { text } = await client.whenClosed();
      const expected = who === "an error" ? ["500"] : ["200", "200"];
      expect(statuses(text)).toEqual(expected);
      for (const connection of origin.connections.items) expect(connection.text).not.toContain("GET /");
    },
  );
});

describe("a process that goes on", () => {
  it("whatever a client's socket does", async () => {
    const { origin } = await recordingOrigin();
    await using _origin = origin;
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    for (const bytes of ["", "GET", get("/", ""), post("hello", "").slice(0, -2), "\0\0\0"]) {
      for (const end of ["end", "reset"] as const) {
        using client = await RawPeer.connect(proxy.port);
        await client.sendNow(bytes);
        client[end]();
        await settled();
      }
    }
    expect(statuses(await proxy.exchange(get()))).toEqual(["200"]);
  });
});
