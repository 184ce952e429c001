import { Agent, request } from "node:http";
import { ResponseHead } from "@cirque/http";
import { describe, expect, it } from "vitest";
import { settled } from "../../test/wire/raw-peer.ts";
import { readResponses } from "../../test/wire/read-responses.ts";
import { answer, answerTarget, get, post, postChunks, TestServer } from "../../test/wire/test-server.ts";

describe("requests on one HTTP/1.1 connection", () => {
  it("are answered one after another, each when it comes (H1S-04)", async () => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    for (const target of ["/a", "/b", "/c"]) {
      expect(await client.clear().send(get(target)).until(`\r\n\r\n${target}`)).not.toContain("Connection:");
    }
    expect(server.connections).toHaveLength(1);
    expect(server.connections[0]?.connection.exchanges).toBe(3);
  });

  it("are answered in order when they are pipelined, whoever is ready first (RFC 9112, 9.3.2)", async () => {
    const late: (() => void)[] = [];
    await using server = await TestServer.start((session) => {
      if (session.request.target === "/slow") late.push(() => answerTarget(session));
      else answerTarget(session);
    });
    const client = await server.client();
    client.send(get("/slow") + get("/fast") + get("/faster"));
    await server.sessions.at(0);
    expect(server.sessions.length).toBe(1);
    late[0]?.();
    const responses = readResponses(await client.until("\r\n\r\n/faster"));
    expect(responses.map(({ body }) => body)).toEqual(["/slow", "/fast", "/faster"]);
  });

  it("are found wherever the bytes are split", async () => {
    await using server = await TestServer.start((session) => {
      const chunks: Buffer[] = [];
      session.readBody({
        onData: (chunk) => chunks.push(chunk),
        onEnd: () => answer(session, `${session.request.target}:${Buffer.concat(chunks)}`),
        onError() {},
      });
    });
    const bytes = get("/1") + post("two") + postChunks("2\r\nth\r\n3\r\nree\r\n0\r\n\r\n") + get("/4");
    const client = await server.client();
    for (const byte of bytes) await client.sendNow(byte);
    const responses = readResponses(await client.until(/\/4:$/));
    expect(responses.map(({ body }) => body)).toEqual(["/1:", "/:two", "/:three", "/4:"]);
  });

  it("end with one that says Connection: close; what is pipelined behind it is ignored", async () => {
    await using server = await TestServer.start(answerTarget);
    const text = await server.exchange(get("/last", "Connection: close\r\n") + get("/ignored"));
    const [response, ...more] = readResponses(text);
    expect(response?.headers.get("connection")).toBe("close");
    expect(response?.body).toBe("/last");
    expect(more).toEqual([]);
    expect(server.sessions.length).toBe(1);
    expect(server.refusals.items).toEqual([]);
  });

  it.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: keep-alive\r\n", true],
    ["HTTP/1.1", "Connection: Close\r\n", false],
    ["HTTP/1.1", "Connection: x, close , y\r\n", false],
    ["HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false],
    ["HTTP/1.1", "Connection: closed\r\n", true],
    ["HTTP/1.0", "", false],
    ["HTTP/1.0", "Connection: keep-alive\r\n", true],
    ["HTTP/1.0", "Connection: Keep-Alive\r\n", true],
    ["HTTP/1.0", "Connection: keep-alive, close\r\n", false],
  ])("of %s with %j keep the connection: %s (RFC 9112, 9.3)", async (version, lines, kept) => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    client.send(`GET /first ${version}\r\nHost: a\r\n${lines}\r\n`);
    const head = await client.until("/first");
    if (kept) {
      if (version === "HTTP/1.0") expect(head).toContain("\r\nConnection: keep-alive\r\n");
      else expect(head).not.toContain("Connection:");
      await client.send(get("/second")).until("/second");
    } else {
      expect(head).toContain("\r\nConnection: close\r\n");
      expect(await client.whenClosed()).toEqual({ text: head, reset: false });
    }
  });

  it("are at most as many as the setting allows, and the last response says so (H1S-07)", async () => {
    await using server = await TestServer.start(answerTarget, { maxRequestsPerConnection: 2 });
    const client = await server.client();
    expect(await client.send(get("/1")).until("\r\n\r\n/1")).not.toContain("Connection: close");
    client.clear().send(get("/2") + get("/3"));
    expect((await client.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/2$/);
    expect(server.sessions.length).toBe(2);
  });

  it("come from a real client on a kept connection", async () => {
    await using server = await TestServer.start(answerTarget);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const bodies: string[] = [];
    for (const path of ["/x", "/y", "/z"]) {
      bodies.push(
        await new Promise<string>((resolve, reject) => {
          request(`${server.origin}${path}`, { agent, method: "POST" }, (response) => {
            let body = "";
            response.on("data", (chunk) => {
              body += chunk;
            });
            response.on("end", () => resolve(body));
          })
            .on("error", reject)
            .end("a body");
        }),
      );
    }
    agent.destroy();
    expect(bodies).toEqual(["/x", "/y", "/z"]);
    expect(server.connections).toHaveLength(1);
  });
});

describe("an HTTP/1.1 connection that drains", () => {
  it("closes at once when it has been idle for long enough", async () => {
    await using server = await TestServer.start(answerTarget, { lastRequestTimeoutMs: 0 });
    const fresh = await server.client();
    const used = await server.client();
    await used.send(get("/x")).until("/x");
    for (const connection of server.connections) {
      expect(connection.idle).toBe(true);
      connection.drain();
    }
    expect(await fresh.whenClosed()).toEqual({ text: "", reset: false });
    expect((await used.whenClosed()).reset).toBe(false);
    await server.closed.count(2);
    expect(server.refusals.items).toEqual([]);
  });

  it("waits no longer than it was told to, also for a client that sends empty lines", async () => {
    await using server = await TestServer.start(answerTarget, { lastRequestTimeoutMs: 50 });
    const silent = await server.client();
    const chatty = await server.client();
    await chatty.send(get("/x")).until("/x");
    for (const connection of server.connections) connection.drain();
    chatty.send("\r\n");
    await Promise.all([silent.whenClosed(), chatty.whenClosed()]);
    expect(server.refusals.items).toEqual([]);
  });

  it("answers what was on its way when the drain began, and says that it closes", async () => {
    await using server = await TestServer.start(answerTarget, { lastRequestTimeoutMs: Number.POSITIVE_INFINITY });
    const fresh = await server.client();
    const used = await server.client();
    await used.send(get("/x")).until("/x");
    for (const connection of server.connections) connection.drain();
    fresh.send(get("/first"));
    used.send(get("/second"));
    expect((await fresh.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/first$/);
    expect((await used.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/second$/);
    expect(server.refusals.items).toEqual([]);
  });

  it("answers the request under way, says that it closes, and ignores what is pipelined", async () => {
    await using server = await TestServer.start(() => {});
    const client = await server.client();
    client.send(get("/under-way") + get("/ignored"));
    const session = await server.sessions.at(0);
    const [connection] = server.connections;
    connection?.drain();
    expect(connection?.draining).toBe(true);
    answerTarget(session);
    expect((await client.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/under-way$/);
    expect(server.sessions.length).toBe(1);
  });

  it("behind a response that has begun before, and so has not said it, answers one more request", async () => {
    await using server = await TestServer.start(
      (session) => {
        if (session.request.target === "/last") {
          answerTarget(session);
          return;
        }
        session.writeHead(responseOfLength(4), false);
        session.write(Buffer.from("ab"));
      },
      { lastRequestTimeoutMs: Number.POSITIVE_INFINITY },
    );
    const client = await server.client();
    client.send(get());
    expect(await client.until("\r\n\r\nab")).not.toContain("Connection: close");
    server.connections[0]?.drain();
    const session = await server.sessions.at(0);
    session.write(Buffer.from("cd"));
    session.end();
    await client.until("abcd");
    client.clear().send(get("/last"));
    expect((await client.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/last$/);
  });

  it("lets a head that has begun be finished, and answers it", async () => {
    await using server = await TestServer.start(answerTarget);
    const client = await server.client();
    await client.send("GET /begun HT").sendNow("TP/1.1\r\n");
    await settled();
    server.connections[0]?.drain();
    client.send("Host: a\r\n\r\n");
    expect((await client.whenClosed()).text).toMatch(/\r\nConnection: close\r\n[\s\S]*\/begun$/);
  });
});

function responseOfLength(length: number): ResponseHead {
  return new ResponseHead(200, [["Content-Length", String(length)]]);
}
