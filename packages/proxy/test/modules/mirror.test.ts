import { HttpPeer } from "@cirque/core";
import { describe, expect, it } from "vitest";
import { type HttpProxyOptions, headerRules, type MirrorOptions, mirror, type ProxyHttp } from "../../src/index.ts";
import { okResponse, RawOrigin, refusingAddress } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "../harness/test-proxy.ts";

const series = (result: string): string => `cirque_mirrored_requests_total{module="mirror",result="${result}"}`;

/** A proxy with a mirror, the origin of its requests, and that of the copies. */
class Mirrored implements AsyncDisposable {
  readonly origin: RawOrigin;
  readonly shadow: RawOrigin;
  readonly proxy: TestProxy<void>;

  private constructor(origin: RawOrigin, shadow: RawOrigin, proxy: TestProxy<void>) {
    this.origin = origin;
    this.shadow = shadow;
    this.proxy = proxy;
  }

  static async start(
    options: Partial<MirrorOptions> = {},
    callbacks: Partial<ProxyHttp> = {},
    modules: NonNullable<HttpProxyOptions["modules"]> = [],
  ): Promise<Mirrored> {
    const origin = await RawOrigin.answering((request) => okResponse(`origin got ${request.body}`));
    const shadow = await RawOrigin.start();
    const copying = mirror({ peer: shadow.peer(), ...options });
    const proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer(), ...callbacks },
      { modules: [copying, ...modules] },
    );
    return new Mirrored(origin, shadow, proxy);
  }

  async ask(request: string): Promise<string | undefined> {
    return readResponses(await this.proxy.exchange(request))[0]?.body;
  }

  /** Resolves when so many copies came to this end. */
  async counted(result: string, times = 1): Promise<void> {
    await expect.poll(() => this.proxy.metric(series(result))).toBe(times);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    await this.origin[Symbol.asyncDispose]();
    await this.shadow[Symbol.asyncDispose]();
  }
}

describe("a mirror", () => {
  it("copies requests, as the other modules made them, and drops the responses", async () => {
    const rules = headerRules({ request: { set: { "x-rule": "1" } } });
    const change: MirrorOptions["change"] = (copy) => void copy.headers.set("x-mirrored", "1");
    await using mirrored = await Mirrored.start({ change }, {}, [rules]);
    expect(await mirrored.ask(get("/tea?hot", "X-A: 1\r\nConnection: close\r\n"))).toBe("origin got ");
    const connection = await mirrored.shadow.connections.at(0);
    const { head } = await connection.request();
    connection.send(okResponse("what nobody reads"));
    expect(head.target).toBe("/tea?hot");
    expect(head.headers.toJSON()).toEqual({ host: "a.example", "x-a": "1", "x-rule": "1", "x-mirrored": "1" });
    await mirrored.counted("sent");
    expect((await mirrored.origin.connections.at(0)).text).not.toContain("x-mirrored");
  });

  it.each([
    ["with a length", post("tea")],
    ["in chunks", postChunks("1\r\nt\r\n2\r\nea\r\n0\r\nX-Sum: 1\r\n\r\n")],
  ])("copies bodies %s whole", async (_name, request) => {
    await using mirrored = await Mirrored.start(
      {},
      {
        requestBodyFilter(_session, chunk) {
          chunk.data?.fill("x");
        },
      },
    );
    expect(await mirrored.ask(request)).toBe("origin got xxx");
    const connection = await mirrored.shadow.connections.at(0);
    const copy = await connection.request();
    expect(copy.body).toBe("tea");
    expect(copy.head.headers.get("content-length")).toBe("3");
    connection.send(okResponse(""));
    await mirrored.counted("sent");
  });

  it("does not make a request wait for a peer that is silent, and gives the copy up in time", async () => {
    await using mirrored = await Mirrored.start({ timeoutMs: 20 });
    expect(await mirrored.ask(get())).toBe("origin got ");
    await (await mirrored.shadow.connections.at(0)).request();
    await mirrored.counted("failed");
    expect(mirrored.proxy.logger.records.some(({ message }) => /copy of a request/.test(message ?? ""))).toBe(true);
  });

  it.each([
    ["that refuses connections", async () => new HttpPeer(await refusingAddress())],
    [
      "whose choice fails",
      async () => () => {
        throw new Error("a mistake");
      },
    ],
  ] as const)("leaves requests alone with a peer %s", async (_name, peer) => {
    await using mirrored = await Mirrored.start({ peer: await peer() });
    expect(await mirrored.ask(post("tea"))).toBe("origin got tea");
    await mirrored.counted("failed");
  });

  it("leaves requests alone with a peer that answers garbage", async () => {
    await using mirrored = await Mirrored.start();
    expect(await mirrored.ask(get())).toBe("origin got ");
    (await mirrored.shadow.connections.at(0)).send("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n");
    await mirrored.counted("failed");
  });

  it("has no more copies under way than it may", async () => {
    await using mirrored = await Mirrored.start({ maxConcurrent: 1 });
    await mirrored.ask(get("/1"));
    expect(await mirrored.ask(get("/2"))).toBe("origin got ");
    await mirrored.counted("busy");
    const connection = await mirrored.shadow.connections.at(0);
    expect((await connection.request()).head.target).toBe("/1");
    connection.send(okResponse(""));
    await mirrored.counted("sent");
    await mirrored.ask(get("/3"));
    expect((await connection.request()).head.target).toBe("/3");
    connection.send(okResponse(""));
    await mirrored.counted("sent", 2);
  });

  it("drops the copy of a body that is too long, and lets the request pass", async () => {
    await using mirrored = await Mirrored.start({ maxBodyBytes: 2, maxConcurrent: 1 });
    expect(await mirrored.ask(post("tea"))).toBe("origin got tea");
    await mirrored.counted("too-large");
    await mirrored.ask(post("te"));
    const connection = await mirrored.shadow.connections.at(0);
    expect((await connection.request()).body).toBe("te");
  });

  it("drops the copy of a request whose body never comes whole", async () => {
    await using mirrored = await Mirrored.start({ maxConcurrent: 1 });
    const client = await mirrored.proxy.client();
    client.send(`POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\ntea`);
    await (await mirrored.origin.connections.at(0)).requestHead();
    client[Symbol.dispose]();
    await mirrored.counted("incomplete");
    await mirrored.ask(get("/next"));
    expect((await (await mirrored.shadow.connections.at(0)).request()).head.target).toBe("/next");
  });

  it("copies what it is told to: a share, by a condition, or to a peer that is chosen", async () => {
    await using mirrored = await Mirrored.start({ when: ({ request }) => request.path === "/yes" });
    await mirrored.ask(get("/no"));
    await mirrored.ask(get("/yes"));
    expect((await (await mirrored.shadow.connections.at(0)).request()).head.target).toBe("/yes");
    await using never = await Mirrored.start({ percentage: 0 });
    await never.ask(get());
    await using chosen = await Mirrored.start({ peer: () => undefined });
    await chosen.ask(get());
    expect(never.shadow.connections.length + chosen.shadow.connections.length).toBe(0);
  });

  it("gives up what is under way when the proxy stops", async () => {
    const peers = await RawOrigin.start();
    const copying = mirror({ peer: peers.peer() });
    const origin = await RawOrigin.answering(okResponse("ok"));
    {
      await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules: [copying] });
      await proxy.exchange(get());
      await (await peers.connections.at(0)).request();
      expect(copying.inFlight).toBe(1);
      proxy.proxy.prepareOptions({})();
      await expect.poll(() => copying.inFlight).toBe(0);
    }
    await origin[Symbol.asyncDispose]();
    await peers[Symbol.asyncDispose]();
  });

  it.each([
    { percentage: 101 },
    { percentage: Number.NaN },
    { maxConcurrent: 0 },
    { maxBodyBytes: -1 },
    { timeoutMs: 0 },
  ])("refuses %o", (wrong) => {
    expect(() => mirror({ peer: new HttpPeer("127.0.0.1:1"), ...wrong })).toThrow(/of a mirror is/);
  });
});
