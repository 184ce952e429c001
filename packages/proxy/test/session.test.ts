import { ResponseHead } from "@cirque/http";
import { expect, test } from "vitest";
import { requestSummary, type Session } from "../src/index.ts";
import { okResponse, RawOrigin } from "./harness/raw-origin.ts";
import { readResponses } from "./harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "./harness/test-proxy.ts";

test("addresses of both sides, and payload bytes without framing", async () => {
  await using origin = await RawOrigin.answering(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
  );
  let session: Session | undefined;
  let before: unknown = "not asked";
  await using proxy = await TestProxy.start({
    requestFilter: (current) => {
      before = current.upstream;
    },
    upstreamPeer: () => origin.peer(),
    logging: (current) => {
      session = current;
    },
  });
  const client = await proxy.client();
  const clientAddress = `127.0.0.1:${client.socket.localPort}`;

  await client.send(postChunks("3\r\ntea\r\n0\r\n\r\n")).whenClosed();

  const connection = await origin.connections.at(0);
  expect(before).toBeUndefined();
  expect(session?.clientAddress).toBe(clientAddress);
  expect(session?.serverAddress).toBe(`127.0.0.1:${proxy.port}`);
  expect(session?.upstream).toMatchObject({
    reused: false,
    remoteAddress: origin.address,
    localAddress: `127.0.0.1:${connection.socket.remotePort}`,
    bodyBytesReceived: 5,
  });
  expect(session?.upstream?.peer.address).toBe(origin.address);
  expect(session?.bodyBytesReceived).toBe(3);
  expect(session?.bodyBytesSent).toBe(5);
  expect(session?.hasRequestBody).toBe(true);
  expect(session?.response?.status).toBe(200);
  expect(session?.elapsedMs).toBeGreaterThanOrEqual(0);
  expect(session?.attempts).toBe(1);
});

test("whether a kept connection to the origin was used, and how many attempts there were", async () => {
  await using origin = await RawOrigin.start(async (connection) => {
    await connection.request();
    connection.send(okResponse("first"));
    await connection.request();
    if (connection.index === 0) connection.reset();
    else connection.send(okResponse("second"));
  });
  const facts: unknown[] = [];
  await using proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    connectedToUpstream: (session, reused) => {
      facts.push([session.attempts, reused, session.upstream?.reused]);
    },
    logging: (session) => {
      facts.push(session.attempts);
    },
  });

  await proxy.exchange(get());
  await proxy.exchange(get());

  expect(facts).toEqual([[1, false, false], 1, [1, true, true], [2, false, false], 2]);
});

test("a request can be changed before an origin is asked, and its copy for each attempt", async () => {
  await using origin = await RawOrigin.answering(({ head }) => okResponse(`${head.target} ${head.headers.get("x-a")}`));
  await using proxy = await TestProxy.start({
    requestFilter: (session) => {
      session.request.target = "/changed";
      session.request.headers.set("x-a", "one");
    },
    upstreamPeer: () => origin.peer(),
    upstreamRequestFilter: (session, request) => {
      request.headers.set("x-a", `${request.headers.get("x-a")}, two`);
      expect(session.request.headers.get("x-a")).toBe("one");
    },
  });

  expect(readResponses(await proxy.exchange(get()))[0]?.body).toBe("/changed one, two");
});

test("`keepAlive` says whether the connection goes on, and ends it when set false", async () => {
  const seen: boolean[] = [];
  await using proxy = await TestProxy.start({
    requestFilter: (session) => {
      seen.push(session.keepAlive);
      if (session.request.path === "/last") session.keepAlive = false;
    },
    upstreamPeer: () => new Response("fine"),
  });

  const text = await proxy.exchange(get("/", "") + get("/last", "") + get("/never", ""));

  expect(readResponses(text).map((response) => response.headers.get("connection"))).toEqual([undefined, "close"]);
  await proxy.exchange(get("/", "Connection: close\r\n"));
  expect(seen).toEqual([true, true, false]);
});

test("`signal` aborts when the client leaves, also for one who asks later; never after a whole response", async () => {
  const reasons: unknown[] = [];
  const entered = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  let whole: AbortSignal | undefined;
  await using proxy = await TestProxy.start({
    requestFilter: async (session) => {
      if (session.request.path === "/whole") {
        whole = session.signal;
        return new Response("fine");
      }
      entered.resolve();
      await new Promise((resolve) => session.signal.addEventListener("abort", resolve));
      reasons.push(session.signal.reason);
      return undefined;
    },
    upstreamPeer: () => new Response(),
    logging: (session) => {
      if (session.request.path === "/whole") return;
      reasons.push(session.signal.reason);
      done.resolve();
    },
  });
  await proxy.exchange(get("/whole"));
  const client = await proxy.client();
  await client.sendNow(get("/leave"));
  await entered.promise;
  client.reset();
  await done.promise;

  expect(reasons).toHaveLength(2);
  for (const reason of reasons) expect(reason).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
  expect(whole?.aborted).toBe(false);
});

test("`shuttingDown` is told to the requests under way, and their connection closes after them", async () => {
  const asked = Promise.withResolvers<Session>();
  const answer = Promise.withResolvers<Response>();
  await using proxy = await TestProxy.start({
    requestFilter: (session) => {
      asked.resolve(session);
      return answer.promise;
    },
    upstreamPeer: () => new Response(),
  });
  const client = await proxy.client();

  client.send(get("/", ""));
  const session = await asked.promise;
  const before = session.shuttingDown;
  const drained = proxy.proxy.drain(new AbortController().signal);
  const after = session.shuttingDown;
  answer.resolve(new Response("the last one"));

  const { text } = await client.whenClosed();
  await drained;
  expect([before, after]).toEqual([false, true]);
  expect(text).toMatch(/\r\nConnection: close\r\n.*the last one$/s);
});

test("`writeContinue` sends 100 before the body is there", async () => {
  await using origin = await RawOrigin.answering(({ body }) => okResponse(body));
  await using proxy = await TestProxy.start({
    requestFilter: (session) => session.writeContinue(),
    upstreamPeer: () => origin.peer(),
  });
  const client = await proxy.client();

  client.send(post("tea", "Expect: 100-continue\r\nConnection: close\r\n").slice(0, -3));
  await client.until("HTTP/1.1 100 Continue\r\n\r\n");
  const { text } = await client.send("tea").whenClosed();

  expect(readResponses(text).map((response) => response.status)).toEqual([100, 200]);
});

test("the summary of a request is its method, host and path; the query, which may hold secrets, is left out", async () => {
  const summaries: string[] = [];
  await using proxy = await TestProxy.start({
    upstreamPeer: () => new Response(),
    logging: (session) => {
      summaries.push(requestSummary(session));
    },
  });

  await proxy.exchange(get("/tea?key=secret"));
  await proxy.exchange("GET /tea HTTP/1.0\r\n\r\n");

  expect(summaries).toEqual(["GET a.example/tea", "GET -/tea"]);
});

test("a response filter may change status, fields and reason of what the client gets", async () => {
  await using origin = await RawOrigin.answering(
    okResponse("hello", "X-From: origin\r\nConnection: x-hop\r\nX-Hop: 1\r\n"),
  );
  let sent: ResponseHead | undefined;
  await using proxy = await TestProxy.start({
    upstreamPeer: () => origin.peer(),
    upstreamResponseFilter: (_session, response) => {
      expect(response.headers.has("x-hop")).toBe(false);
      response.headers.set("x-seen", "1");
    },
    responseFilter: async (_session, response) => {
      response.status = 203;
      response.headers.delete("x-from");
      await Promise.resolve();
    },
    logging: (session) => {
      sent = session.response;
    },
  });

  const [response] = readResponses(await proxy.exchange(get()));

  expect(response?.status).toBe(203);
  expect(response?.body).toBe("hello");
  expect(response?.headers.get("x-seen")).toBe("1");
  expect(response?.headers.has("x-from")).toBe(false);
  expect(sent).toBeInstanceOf(ResponseHead);
  expect(sent?.status).toBe(203);
});
