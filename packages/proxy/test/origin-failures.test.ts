import type { PeerOptions } from "@cirque/core";
import { HttpPeer } from "@cirque/core";
import { describe, expect, test } from "vitest";
import { type OriginScript, okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";

/** A proxy in front of one origin that behaves as the script says. */
async function inFrontOf(script: OriginScript, options: PeerOptions = {}) {
  const origin = await RawOrigin.start(script);
  const proxy = await TestProxy.start({ upstreamPeer: () => origin.peer(options) });
  return {
    origin,
    proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await origin[Symbol.asyncDispose]();
    },
  };
}

/** The one response, whole; undefined when what came is cut, or nothing. */
function wholeResponse(text: string, method = "GET") {
  try {
    return readResponses(text, method).at(0);
  } catch {
    return undefined;
  }
}

/** An error answer of the proxy: complete, closing, and without a word of what went wrong. */
function expectErrorPage(text: string, status: number): void {
  const responses = readResponses(text);
  expect(responses.map((response) => response.status)).toEqual([status]);
  const [response] = responses;
  expect(response?.headers.get("connection")).toBe("close");
  expect(response?.headers.get("cache-control")).toBe("private, no-store");
  expect(response?.body).toMatch(new RegExp(`^${status} [A-Z][A-Za-z ]+\n$`));
  expect(text).not.toMatch(/127\.0\.0\.1|ECONN|origin|upstream|at \//);
}

describe("the origin ends at each byte of its response", () => {
  const responses = {
    "of a declared length": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-A: b\r\n\r\nabcdefghi",
    "in chunks":
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n5;x=y\r\nefghi\r\n0\r\nX-T: u\r\n\r\n",
  };
  for (const [name, response] of Object.entries(responses)) {
    for (const way of ["end", "reset"] as const) {
      test(`${name}, by ${way === "end" ? "closing" : "a reset"}`, async () => {
        const headEnd = response.indexOf("\r\n\r\n") + 4;
        let cut = 0;
        await using world = await inFrontOf(async (connection) => {
          await connection.request();
          if (cut > 0) await connection.sendNow(response.slice(0, cut));
          connection[way]();
        });
        for (; cut < response.length; cut++) {
          const text = await world.proxy.exchange(get());
          if (cut < headEnd) expectErrorPage(text, 502);
          else expect(wholeResponse(text), `cut at ${cut}: ${JSON.stringify(text)}`).toBeUndefined();
        }
        // No attempt is repeated, and no connection used again.
        expect(world.origin.connections.length).toBe(response.length);
      });
    }
  }

  test("of a body that ends with the connection: a reset is passed on as a cut, an end as the end", async () => {
    await using world = await inFrontOf(async (connection) => {
      const { head } = await connection.request();
      await connection.sendNow("HTTP/1.1 200 OK\r\n\r\nabc");
      if (head.path === "/reset") connection.reset();
      else connection.end();
    });
    expect(wholeResponse(await world.proxy.exchange(get("/end")))?.body).toBe("abc");
    expect(wholeResponse(await world.proxy.exchange(get("/reset")))).toBeUndefined();
    // HTTP/1.0 has no chunks: a cut can only be told by a reset.
    const client = await world.proxy.client();
    client.send("GET /reset HTTP/1.0\r\nHost: a.example\r\n\r\n");
    expect((await client.whenClosed()).reset).toBe(true);
  });

  test("to a client of HTTP/1.0, a chunked body that is cut ends in a reset", async () => {
    await using world = await inFrontOf(async (connection) => {
      await connection.request();
      await connection.sendNow("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      connection.end();
    });
    const client = await world.proxy.client();
    client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    expect((await client.whenClosed()).reset).toBe(true);
  });
});

test("a response that came whole before the origin reset the connection is whole, though a filter was slow", async () => {
  const origin = await RawOrigin.start(async (connection) => {
    await connection.request();
    await connection.sendNow(okResponse("all of it"));
    connection.reset();
  });
  const proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    responseFilter: () => new Promise<void>((resolve) => setTimeout(resolve, 30)),
  });
  expect(wholeResponse(await proxy.exchange(get()))?.body).toBe("all of it");
  await proxy[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

describe("the origin answers garbage", () => {
  const garbage = {
    noise: "\x00\x01\x02 what?\r\n\r\n",
    "another protocol": "SSH-2.0-OpenSSH_9.6\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a field without colon": "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
    "an endless head": `HTTP/1.1 200 OK\r\n${"X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(4000)}`,
    "a switch of protocols that nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "interim responses without end": "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17),
  };
  for (const [name, bytes] of Object.entries(garbage)) {
    test(`${name}: 502, and the connection is not used again`, async () => {
      await using world = await inFrontOf(async (connection) => {
        await connection.request();
        connection.send(bytes);
      });
      const text = await world.proxy.exchange(get());
      expectErrorPage(text.slice(text.lastIndexOf("HTTP/1.1 ")), 502);
      await (await world.origin.connections.at(0)).whenClosed();
    });
  }

  test("in the chunks of a body: the response is cut, and the reason is counted", async () => {
    await using world = await inFrontOf(async (connection) => {
      await connection.request();
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n-1\r\n");
    });
    const text = await world.proxy.exchange(get());
    expect(wholeResponse(text)).toBeUndefined();
    await (await world.origin.connections.at(0)).whenClosed();
    const counted = (await world.proxy.metrics.exposition()).match(/cirque_malformed_responses_total\{[^}]*\} 1/g);
    expect(counted).toHaveLength(1);
  });

  test("behind a complete response: the response is good, and the connection is not used again", async () => {
    await using world = await inFrontOf(async (connection) => {
      await connection.request();
      connection.send(`${okResponse("good")}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`);
    });
    for (let i = 0; i < 2; i++) expect(wholeResponse(await world.proxy.exchange(get()))?.body).toBe("good");
    expect(world.origin.connections.length).toBe(2);
  });
});

const refused = await refusingAddress();

describe("the origin is late", () => {
  test("it never answers: 504", async () => {
    await using world = await inFrontOf(() => {}, { readTimeoutMs: 20 });
    expectErrorPage(await world.proxy.exchange(get()), 504);
    await (await world.origin.connections.at(0)).whenClosed();
    expect(world.origin.connections.length).toBe(1);
  });

  test("it stops in the middle of its head: 504", async () => {
    await using world = await inFrontOf((connection) => void connection.send("HTTP/1.1 200 OK\r\nContent-Le"), {
      readTimeoutMs: 20,
    });
    expectErrorPage(await world.proxy.exchange(get()), 504);
  });

  test("it speaks HTTP/2, and no line ever ends: 504", async () => {
    const settings = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80";
    await using world = await inFrontOf((connection) => void connection.send(settings), { readTimeoutMs: 20 });
    expectErrorPage(await world.proxy.exchange(get()), 504);
  });

  test("it says 100 and never more: 504", async () => {
    await using world = await inFrontOf((connection) => void connection.send("HTTP/1.1 100 Continue\r\n\r\n"), {
      readTimeoutMs: 20,
    });
    expectErrorPage(await world.proxy.exchange(get()), 504);
  });

  for (const framing of ["Content-Length: 9", "Transfer-Encoding: chunked", "Connection: close"]) {
    test(`it stops in the middle of its body (${framing}): the response is cut`, async () => {
      const body = framing.startsWith("T") ? "3\r\nabc\r\n" : "abc";
      await using world = await inFrontOf(
        (connection) => void connection.send(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${body}`),
        {
          readTimeoutMs: 20,
        },
      );
      const text = await world.proxy.exchange(get());
      expect(text).toContain("abc");
      expect(wholeResponse(text)).toBeUndefined();
      await (await world.origin.connections.at(0)).whenClosed();
    });
  }

  test("it takes nothing of an upload: 504", async () => {
    await using world = await inFrontOf((connection) => void connection.socket.pause(), { writeTimeoutMs: 40 });
    const client = await world.proxy.client();
    const size = 64 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${size}\r\n\r\n`);
    const piece = Buffer.alloc(1024 * 1024);
    const more = (): void => {
      while (!client.closed && client.socket.write(piece));
    };
    client.socket.on("drain", more);
    more();
    expectErrorPage(await client.whenEnded(), 504);
  });

  test("TLS never begins: 504", async () => {
    await using world = await inFrontOf(() => {}, { tls: true, sni: "a.example", connectionTimeoutMs: 20 });
    expectErrorPage(await world.proxy.exchange(get()), 504);
  });
});

describe("the origin cannot be reached", () => {
  for (const [name, address] of [
    ["refuses", refused],
    ["has no socket file", "unix:/nonexistent/socket"],
    ["has no such name", "no-such-host.invalid:80"],
  ] as const) {
    test(`it ${name}: 502 after all attempts, for any method`, async () => {
      let asked = 0;
      await using proxy = await TestProxy.start({
        upstreamPeer: () => {
          asked++;
          return new HttpPeer(address);
        },
      });
      expectErrorPage(await proxy.exchange(get()), 502);
      expectErrorPage(await proxy.exchange(post("body")), 502);
      expect(asked).toBe(6);
    });
  }

  test("it does not speak TLS: 502", async () => {
    await using world = await inFrontOf(
      (connection) => void connection.send("HTTP/1.1 400 Bad Request\r\n\r\n").end(),
      {
        sni: "a.example",
      },
    );
    expectErrorPage(await world.proxy.exchange(get()), 502);
  });
});
