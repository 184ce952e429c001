import { describe, expect, it } from "vitest";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { settled } from "./harness/raw-peer.ts";
import { readResponsesStrictly } from "./harness/strict-reader.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

function statuses(text: string, method: string): readonly string[] {
  const { messages, rest } = readResponsesStrictly(text, method, method);
  expect(rest).toBe("");
  return messages.map(({ line }) => line.split(" ")[1] ?? "");
}

describe("a filter that changes the method of the request", () => {
  const answering = (): Promise<RawOrigin> =>
    RawOrigin.answering(({ head }) =>
      head.method === "HEAD" ? okResponse("hello").slice(0, -5) : okResponse("hello"),
    );

  it("to GET: a client that asked for HEAD gets no body, and the connection goes on", async () => {
    await using origin = await answering();
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.method = "GET";
      },
    });
    const head = get("/", "").replace("GET", "HEAD");
    expect(statuses(await proxy.exchange(head + get().replace("GET", "HEAD")), "HEAD")).toEqual(["200", "200"]);
  });

  it("to HEAD, for itself too: a client that asked for GET is not left to wait for the body", async () => {
    await using origin = await answering();
    await using proxy = await TestProxy.start({
      requestFilter: ({ request }) => {
        request.method = "HEAD";
      },
      upstreamPeer: () => origin.peer(),
    });
    // There is no body to give it, and it must see that.
    const { messages, rest } = readResponsesStrictly(await proxy.exchange(get("/", "") + get()));
    expect(messages).toEqual([]);
    expect(rest).toMatch(/\r\n\r\n$/);
  });

  it("to HEAD, and answers itself: the client gets the body that it asked for", async () => {
    await using proxy = await TestProxy.start({
      requestFilter: ({ request }) => {
        request.method = "HEAD";
        return new Response("hello");
      },
      upstreamPeer: () => new Response(),
    });
    const { messages } = readResponsesStrictly(await proxy.exchange(get("/", "") + get()));
    expect(messages.map(({ body }) => body)).toEqual(["hello", "hello"]);
  });

  it("to POST: the request is not sent twice (promise P7)", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.requestHead();
      connection.end();
    });
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.method = "POST";
      },
      errorWhileProxy: (_peer, _session, error) => {
        error.retry = true;
        return error;
      },
    });
    expect(statuses(await proxy.exchange(get()), "GET")).toEqual(["502"]);
    expect(origin.connections.length).toBe(1);
  });
});

describe("a filter that changes a piece of the request body in place", () => {
  it("is given what the client sent again, in each attempt", async () => {
    await using origin = await RawOrigin.start(async (connection) => {
      const { body } = await connection.request();
      if (connection.index < 2) connection.end();
      else connection.send(okResponse(body));
    });
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: (_session, chunk) => {
        const { data } = chunk;
        // Twice would be as before.
        if (data !== undefined)
          for (let index = 0; index < data.length; index++) data[index] = (data[index] ?? 0) ^ 0x20;
      },
      errorWhileProxy: (_peer, _session, error) => {
        error.retry = true;
        return error;
      },
    });
    const text = await proxy.exchange(post("Hello").replace("POST", "PUT"));
    expect(text).toMatch(/\r\n\r\nhELLO$/);
    expect(origin.connections.length).toBe(3);
  });
});

describe("an origin that dies in the middle of an upload", () => {
  it.each(["at once", "through a slow filter"])("another one gets all of it, in order, %s", async (how) => {
    const died = Promise.withResolvers<void>();
    await using origin = await RawOrigin.start(async (connection) => {
      if (connection.index > 0) {
        const { body } = await connection.request();
        connection.send(okResponse(body));
        return;
      }
      await connection.until("ONE;");
      connection.reset();
      died.resolve();
    });
    const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: (_session, chunk) => {
        if (chunk.data !== undefined) chunk.data = Buffer.from(chunk.data.toString().toUpperCase());
        return how === "at once" ? undefined : later();
      },
      upstreamRequestFilter: (_session, request) => {
        request.headers.set("x-attempt", "1");
      },
      errorWhileProxy: (_peer, _session, error) => {
        error.retry = true;
        return error;
      },
    });
    const client = await proxy.client();
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\none;\r\n");
    await died.promise;
    client.send("4\r\ntwo;\r\n");
    await settled();
    client.send("6\r\nthree;\r\n0\r\nX-T: 1\r\n\r\n");
    const { text } = await client.whenClosed();
    expect(text).toMatch(/\r\n\r\nONE;TWO;THREE;$/);
    expect(origin.connections.items[1]?.text).toMatch(/0\r\nX-T: 1\r\n\r\n$/);
  });
});

describe("a filter that takes the body away", () => {
  it("of a request with a declared length: the request is not sent as if it were whole", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      requestBodyFilter: (_session, chunk) => {
        chunk.data = undefined;
      },
    });
    expect(statuses(await proxy.exchange(post("hello")), "POST")).toEqual(["500"]);
  });
});

describe("a filter that sets what cannot be sent", () => {
  it.each([
    ["a Content-Length that is none", "content-length", "five"],
    ["a negative Content-Length", "content-length", "-1"],
  ])("%s, on a request: 500, and nothing is sent", async (_what, name, value) => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.set(name, value);
      },
    });
    expect(statuses(await proxy.exchange(post("hello")), "POST")).toEqual(["500"]);
    for (const connection of origin.connections.items) expect(connection.text).toBe("");
  });

  it("a coding of the transfer is taken out again: framing is the connection's", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.set("transfer-encoding", "gzip, chunked").set("connection", "x-a").set("keep-alive", "1");
      },
      responseFilter: (_session, response) => {
        response.headers.set("transfer-encoding", "identity").set("connection", "x-a");
      },
    });
    expect(statuses(await proxy.exchange(post("hello")), "POST")).toEqual(["200"]);
    const [connection] = origin.connections.items;
    expect(connection?.text).toMatch(/\r\nContent-Length: 5\r\n/);
    expect(connection?.text).not.toMatch(/transfer-encoding|connection:|keep-alive/i);
  });

  it("a field value with a line break throws where it is set", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.set("x-a", "b\r\nX-Smuggled: 1");
      },
    });
    expect(statuses(await proxy.exchange(get()), "GET")).toEqual(["500"]);
  });

  it("a target or method with a space throws likewise", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.target = "/ HTTP/1.1\r\nX: y";
      },
    });
    expect(statuses(await proxy.exchange(get()), "GET")).toEqual(["500"]);
  });

  it("no Host at all: 500, and nothing is sent (RFC 9112, 3.2)", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamRequestFilter: (_session, request) => {
        request.headers.delete("host");
      },
    });
    expect(statuses(await proxy.exchange(get()), "GET")).toEqual(["500"]);
    for (const connection of origin.connections.items) expect(connection.text).toBe("");
  });
});
