import { Response as UndiciResponse } from "undici";
import { describe, expect, it } from "vitest";
import type { ProxyHttp } from "../src/index.ts";
import { settled } from "./harness/raw-peer.ts";
import { readResponses } from "./harness/read-responses.ts";
import { Recorder } from "./harness/recorder.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

/** A proxy that answers every request itself. */
function answering(respond: () => Response | Promise<Response>): ProxyHttp {
  return { requestFilter: respond, upstreamPeer: () => new Response("not reached", { status: 500 }) };
}

function textOf(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

describe("a Response of a filter is sent", () => {
  it("with its length and in one piece, when its body is there at once", async () => {
    await using proxy = await TestProxy.start(answering(() => new Response("hello", { headers: { "x-a": "1" } })));
    const text = await proxy.exchange(get());
    const [response] = readResponses(text);
    expect(response).toMatchObject({ status: 200, body: "hello" });
    expect(response?.headers.get("content-length")).toBe("5");
    expect(response?.headers.get("content-type")).toBe("text/plain;charset=UTF-8");
    expect(response?.headers.get("x-a")).toBe("1");
  });

  it("on a connection that goes on, one after another", async () => {
    let count = 0;
    await using proxy = await TestProxy.start(answering(() => new Response(`answer ${++count}`)));
    const text = await proxy.exchange(get("/", "") + get("/", "") + get());
    expect(readResponses(text).map((response) => response.body)).toEqual(["answer 1", "answer 2", "answer 3"]);
  });

  it("with its status, reason and each of several cookies", async () => {
    const respond = (): Response => {
      const response = new Response("x", { status: 418, statusText: "Short and stout" });
      response.headers.append("set-cookie", "a=1; Path=/");
      response.headers.append("set-cookie", "b=2");
      return response;
    };
    await using proxy = await TestProxy.start(answering(respond));
    const text = await proxy.exchange(get());
    expect(text).toMatch(/^HTTP\/1\.1 418 Short and stout\r\n/);
    expect(readResponses(text)[0]?.headers.getAll("set-cookie")).toEqual(["a=1; Path=/", "b=2"]);
  });

  it("without a body for HEAD, with what its length would have been, and cancels the body", async () => {
    const cancelled = new Recorder<unknown>();
    const body = new ReadableStream({ cancel: (reason) => cancelled.add(reason) });
    await using proxy = await TestProxy.start(
      answering(() => new Response(body, { headers: { "content-length": "5" } })),
    );
    const text = await proxy.exchange("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect(text).toMatch(/\r\ncontent-length: 5\r\n/i);
    expect(text).toMatch(/\r\n\r\n$/);
    await cancelled.count(1);
  });

  it.each([204, 205, 304])("without a body for status %i", async (status) => {
    await using proxy = await TestProxy.start(answering(() => new Response(null, { status })));
    const text = await proxy.exchange(get("/", "") + get());
    expect(readResponses(text)).toMatchObject([
      { status, body: "" },
      { status, body: "" },
    ]);
    expect(text.toLowerCase()).not.toContain("transfer-encoding");
  });

  it("without the fields that are for one connection only", async () => {
    const headers = {
      connection: "x-private",
      "x-private": "1",
      "keep-alive": "timeout=5",
      "transfer-encoding": "gzip, chunked",
      "x-public": "2",
    };
    await using proxy = await TestProxy.start(answering(() => new Response("hello", { headers })));
    const [response] = readResponses(await proxy.exchange(get()));
    expect(response?.headers.toJSON()).toMatchObject({ "x-public": "2", connection: "close" });
    for (const name of ["x-private", "keep-alive", "transfer-encoding"])
      expect(response?.headers.has(name)).toBe(false);
    expect(response?.body).toBe("hello");
  });

  it("with an empty body when the stream has nothing", async () => {
    await using proxy = await TestProxy.start(answering(() => new Response("")));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 200, body: "" }]);
  });

  it("to a client of HTTP/1.0 until the connection closes", async () => {
    const stream = (): ReadableStream => ReadableStream.from([textOf("one,"), textOf("two")].values());
    await using proxy = await TestProxy.start(answering(() => new Response(stream())));
    const text = await proxy.exchange("GET / HTTP/1.0\r\n\r\n");
    expect(text).toMatch(/\r\n\r\none,two$/);
    expect(text.toLowerCase()).not.toContain("transfer-encoding");
  });

  it("from undici's own class as from that of the run-time", async () => {
    const foreign = (): Response =>
      new UndiciResponse("denied", { status: 403, headers: { "x-a": "1" } }) as unknown as Response;
    await using proxy = await TestProxy.start(answering(foreign));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 403, body: "denied" }]);
  });

  it("by `upstreamPeer` as by `requestFilter`", async () => {
    await using proxy = await TestProxy.start({
      upstreamPeer: () => new Response("no healthy upstream", { status: 503 }),
    });
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 503, body: "no healthy upstream" }]);
  });
});

describe("a Response with a stream is sent", () => {
  it("piece by piece, as it comes", async () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (given) => {
        controller = given;
      },
    });
    await using proxy = await TestProxy.start(answering(() => new Response(body)));
    const client = await proxy.client();
    client.send(get());
    await settled();
    controller?.enqueue(textOf("one"));
    await client.until("3\r\none\r\n");
    controller?.enqueue(textOf("two"));
    await client.until("3\r\ntwo\r\n");
    controller?.close();
    const { text } = await client.whenClosed();
    expect(readResponses(text)).toMatchObject([{ status: 200, body: "onetwo" }]);
  });

  it("no faster than the client takes it", async () => {
    const piece = Buffer.alloc(64 * 1024, "x");
    let pulled = 0;
    const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      pulled += piece.length;
      controller.enqueue(new Uint8Array(piece));
    };
    await using proxy = await TestProxy.start(answering(() => new Response(new ReadableStream({ pull }))));
    const client = await proxy.client();
    client.socket.pause();
    client.send(get());
    let before = -1;
    while (pulled !== before) {
      before = pulled;
      await settled();
    }
    expect(pulled).toBeGreaterThan(0);
    expect(pulled).toBeLessThan(32 * 1024 * 1024); // what the kernel takes, and no more
    client.socket.resume();
    await client.bytes(pulled + 1);
  });

  it("cut when the stream fails in the middle", async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield textOf("half");
      await settled();
      throw new Error("the disk is on fire at 10.1.2.3");
    };
    await using proxy = await TestProxy.start(answering(() => new Response(ReadableStream.from(failing()))));
    const text = await proxy.exchange(get("/", ""));
    expect(text).toContain("4\r\nhalf\r\n");
    expect(text).not.toContain("0\r\n\r\n");
    expect(text).not.toContain("10.1.2.3");
    expect(proxy.logger.messages("error")).toContain("a request failed");
  });

  it("cut when the stream fails while a slow client is waited for", async () => {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (given) => {
        controller = given;
        given.enqueue(new Uint8Array(16 * 1024 * 1024));
      },
    });
    await using proxy = await TestProxy.start(answering(() => new Response(body)));
    const client = await proxy.client();
    client.socket.pause();
    client.send(get("/", ""));
    await settled();
    controller?.error(new Error("failed while nobody looked"));
    await settled();
    client.socket.resume();
    const { text } = await client.whenClosed();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(() => readResponses(text)).toThrow();
  });

  it("as 500 when the stream fails before its first piece", async () => {
    const body = (): ReadableStream => new ReadableStream({ pull: () => Promise.reject(new Error("secret")) });
    await using proxy = await TestProxy.start(answering(() => new Response(body())));
    const text = await proxy.exchange(get());
    expect(readResponses(text)).toMatchObject([{ status: 500 }]);
    expect(text).not.toContain("secret");
  });

  it("as 500 when the stream holds what are no bytes", async () => {
    const body = (): ReadableStream => ReadableStream.from(["text, not bytes"].values());
    await using proxy = await TestProxy.start(answering(() => new Response(body())));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 500 }]);
    expect(String(proxy.logger.records.find((record) => record.level === "error")?.fields.err)).toContain("Uint8Array");
  });

  it.each(["before its first piece", "behind its first piece"])(
    "and cancelled when the client leaves %s",
    async (when) => {
      const cancelled = new Recorder<unknown>();
      const logged = new Recorder<unknown>();
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          if (when === "behind its first piece") controller.enqueue(textOf("first"));
        },
        cancel: (reason) => cancelled.add(reason),
      });
      await using proxy = await TestProxy.start({
        ...answering(() => new Response(body)),
        logging: (_session, error) => logged.add(error),
      });
      const client = await proxy.client();
      client.send(get());
      if (when === "behind its first piece") await client.until("first");
      else await settled();
      client.reset();
      expect(await logged.at(0)).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
      await cancelled.count(1);
      expect(await proxy.metric('cirque_requests_in_flight{service="http"}')).toBe(0);
    },
  );
});

describe("a Response that cannot be sent as it is", () => {
  it("is 500 when it was sent before", async () => {
    const once = new Response("once");
    await using proxy = await TestProxy.start(answering(() => once));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 200, body: "once" }]);
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 500 }]);
    expect(String(proxy.logger.records.at(-1)?.fields.err)).toContain("a new one for each request");
  });

  it("is 500 when it is `Response.error()`", async () => {
    await using proxy = await TestProxy.start(answering(() => Response.error()));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 500 }]);
  });

  it("is cut when its body is shorter than its Content-Length", async () => {
    const headers = { "content-length": "10" };
    await using proxy = await TestProxy.start(answering(() => new Response("short", { headers })));
    expect(await proxy.exchange(get("/", ""))).toMatch(/\r\n\r\nshort$/);
    expect(await proxy.metric('cirque_requests_aborted_total{service="http"}')).toBe(1);
  });

  it("is cut at its Content-Length when its body is longer", async () => {
    const headers = { "content-length": "5" };
    await using proxy = await TestProxy.start(answering(() => new Response("hello, and more", { headers })));
    const text = await proxy.exchange(get("/", "") + get());
    expect(readResponses(text).map((response) => response.body)).toEqual(["hello", "hello"]);
  });

  it.each(["-1", "5, 5", "0x5", "five"])("is 500 when its Content-Length is %j", async (length) => {
    const headers = { "content-length": length };
    await using proxy = await TestProxy.start(answering(() => new Response("hello", { headers })));
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 500 }]);
  });
});

describe("the request body that a Response leaves unread", () => {
  it("is read and dropped, so that it is not taken for the next request", async () => {
    await using proxy = await TestProxy.start(answering(() => new Response("no", { status: 403 })));
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    const text = await proxy.exchange(post(smuggled, "") + get());
    expect(readResponses(text)).toMatchObject([{ status: 403 }, { status: 403 }]);
  });

  it("closes the connection when it is long", async () => {
    await using proxy = await TestProxy.start(answering(() => new Response("no", { status: 403 })));
    const text = await proxy.exchange(post("x".repeat(200_000), "") + get());
    expect(readResponses(text)).toMatchObject([{ status: 403 }]);
  });
});
