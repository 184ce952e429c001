import { CirqueError, HttpPeer } from "@cirque/core";
import { describe, expect, test } from "vitest";
import { Session } from "../src/index.ts";
import { okResponse, RawOrigin, refusingAddress } from "./harness/raw-origin.ts";
import { get, post, TestProxy } from "./harness/test-proxy.ts";
import { TracedCallbacks } from "./harness/traced-callbacks.ts";

const request = ["newCtx", "earlyRequestFilter", "allowSubrequests", "requestFilter", "proxyUpstreamFilter"];
const attempt = ["upstreamPeer", "connectedToUpstream", "upstreamRequestFilter"];
const responseHead = ["upstreamResponseFilter", "responseFilter"];
const responsePiece = ["upstreamResponseBodyFilter", "responseBodyFilter"];
const lastPiece = [
  ...["upstreamResponseBodyFilter", "upstreamResponseTrailerFilter"],
  ...["responseBodyFilter", "responseTrailerFilter"],
];
const failure = ["failToProxy", "suppressErrorLog", "requestSummary"];
const retry = ["suppressErrorLog"];

for (const mode of ["sync", "async"] as const) {
  describe(`the order of callbacks, ${mode}:`, () => {
    test("a request that an origin answers, and another one on the same connection", async () => {
      await using origin = await RawOrigin.answering(okResponse("hello"));
      const traced = new TracedCallbacks(
        { upstreamPeer: () => origin.peer(), persistConnectionContext: () => "left behind" },
        mode,
      );
      await using proxy = await TestProxy.start(traced.callbacks);
      const client = await proxy.client();

      await client.send(get("/", "")).until("hello");
      await traced.called("persistConnectionContext");
      const first = traced.names;
      await client.send(get("/", "")).responses(2);
      await traced.called("logging", 2);

      const whole = [...attempt, ...responseHead, ...responsePiece, ...lastPiece, "logging"];
      expect(first).toEqual([...request, ...whole, "persistConnectionContext"]);
      expect(traced.names.slice(first.length, first.length + 3)).toEqual([
        "newCtx",
        "onConnectionReuse",
        "earlyRequestFilter",
      ]);
    });

    test("a request with a body", async () => {
      await using origin = await RawOrigin.answering("HTTP/1.1 204 No Content\r\n\r\n");
      const traced = new TracedCallbacks({ upstreamPeer: () => origin.peer() }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);

      await proxy.exchange(post("tea"));

      expect(traced.names).toEqual([
        ...[...request, ...attempt, "requestBodyFilter", "requestBodyFilter"],
        ...[...responseHead, ...lastPiece, "logging"],
      ]);
    });

    test("a request that `requestFilter` answers", async () => {
      const traced = new TracedCallbacks(
        { requestFilter: () => new Response("mine"), upstreamPeer: () => new Response("not asked") },
        mode,
      );
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nmine$/s);

      expect(traced.names).toEqual([...request.slice(0, 4), "logging"]);
    });

    test("a request that `upstreamPeer` answers", async () => {
      const traced = new TracedCallbacks({ upstreamPeer: () => new Response("nobody", { status: 503 }) }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n.*\r\n\r\nnobody$/s);

      expect(traced.names).toEqual([...request, "upstreamPeer", "logging"]);
    });

    test("a request that `proxyUpstreamFilter` stops", async () => {
      const traced = new TracedCallbacks(
        { proxyUpstreamFilter: () => false, upstreamPeer: () => new Response("not asked") },
        mode,
      );
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);

      expect(traced.names).toEqual([...request, ...failure, "logging"]);
    });

    test("a connection that is refused, and a second attempt that is answered", async () => {
      await using origin = await RawOrigin.answering(okResponse(""));
      const peers = [new HttpPeer(await refusingAddress()), origin.peer()];
      const traced = new TracedCallbacks({ upstreamPeer: () => peers.shift() ?? new Response("no more") }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 OK\r\n/);

      expect(traced.names).toEqual([
        ...[...request, "upstreamPeer", "failToConnect", ...retry],
        ...[...attempt, ...responseHead, ...lastPiece, "logging"],
      ]);
    });

    test("connections that are refused until no attempt is left", async () => {
      const address = await refusingAddress();
      const traced = new TracedCallbacks({ upstreamPeer: () => new HttpPeer(address) }, mode);
      await using proxy = await TestProxy.start(traced.callbacks, { maxAttempts: 2 });

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);

      expect(traced.names).toEqual([
        ...[...request, "upstreamPeer", "failToConnect", ...retry],
        ...["upstreamPeer", "failToConnect", ...failure, "logging"],
      ]);
    });

    test("an origin that fails, once `errorWhileProxy` wants another attempt", async () => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.request();
        if (connection.index === 0) connection.reset();
        else connection.send(okResponse(""));
      });
      const traced = new TracedCallbacks(
        {
          upstreamPeer: () => origin.peer(),
          errorWhileProxy: (_peer, _session, error) => {
            error.retry = true;
            return error;
          },
        },
        mode,
      );
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 200 OK\r\n/);

      expect(traced.names).toEqual([
        ...[...request, ...attempt, "errorWhileProxy", ...retry],
        ...[...attempt, ...responseHead, ...lastPiece, "logging"],
      ]);
    });

    test("an origin that fails for good", async () => {
      await using origin = await RawOrigin.start(async (connection) => {
        await connection.request();
        connection.send("nonsense\r\n\r\n");
      });
      const traced = new TracedCallbacks({ upstreamPeer: () => origin.peer() }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);

      expect(await proxy.exchange(get())).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);

      expect(traced.names).toEqual([...request, ...attempt, "errorWhileProxy", ...failure, "logging"]);
    });

    test("a client that leaves while its origin is asked", async () => {
      await using origin = await RawOrigin.start();
      const traced = new TracedCallbacks({ upstreamPeer: () => origin.peer() }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);
      const client = await proxy.client();

      client.send(get());
      await (await origin.connections.at(0)).request();
      client.reset();
      await traced.called("logging");

      expect(traced.names).toEqual([...request, ...attempt, ...failure, "logging"]);
      const error = traced.calls.items.at(-1)?.args[1];
      expect(error).toMatchObject({ code: "ConnectionClosed", source: "downstream" });
    });

    test("an interim response goes through `responseFilter` as well", async () => {
      await using origin = await RawOrigin.answering(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${okResponse("")}`);
      const traced = new TracedCallbacks({ upstreamPeer: () => origin.peer() }, mode);
      await using proxy = await TestProxy.start(traced.callbacks);

      await proxy.exchange(get());

      expect(traced.names).toEqual([
        ...[...request, ...attempt, "responseFilter"],
        ...[...responseHead, ...lastPiece, "logging"],
      ]);
    });
  });
}

test("each callback is given the session and the state of its request", async () => {
  await using origin = await RawOrigin.start(async (connection) => {
    for (;;) {
      await connection.request();
      if (connection.index === 0) connection.reset();
      else connection.send(okResponse("hello"));
    }
  });
  const refusing = new HttpPeer(await refusingAddress());
  const peers = [refusing, origin.peer(), origin.peer()];
  const state = { of: "this request" };
  const traced = new TracedCallbacks({
    newCtx: () => state,
    upstreamPeer: () => peers.shift() ?? new Response("no more", { status: 503 }),
    errorWhileProxy: (_peer, _session, error) => {
      error.retry = true;
      return error;
    },
    proxyUpstreamFilter: () => true,
    responseFilter: () => {
      throw new CirqueError("Custom", "enough");
    },
    persistConnectionContext: () => undefined,
  });
  await using proxy = await TestProxy.start(traced.callbacks);

  await proxy.exchange(get());

  const argumentsOf = (name: string): readonly unknown[] | undefined =>
    traced.calls.items.find((call) => call.name === name)?.args;
  const session = expect.any(Session);
  const refused = expect.objectContaining({ code: "ConnectRefused" });
  expect(argumentsOf("newCtx")).toEqual([]);
  expect(argumentsOf("earlyRequestFilter")).toEqual([session, state]);
  expect(argumentsOf("upstreamPeer")).toEqual([session, state]);
  expect(argumentsOf("failToConnect")).toEqual([session, refusing, state, refused]);
  expect(argumentsOf("connectedToUpstream")).toEqual([session, false, expect.any(HttpPeer), state]);
  expect(argumentsOf("upstreamRequestFilter")).toEqual([session, expect.objectContaining({ method: "GET" }), state]);
  expect(argumentsOf("errorWhileProxy")).toEqual([
    expect.any(HttpPeer),
    session,
    expect.any(CirqueError),
    state,
    false,
  ]);
  expect(argumentsOf("upstreamResponseFilter")).toEqual([session, expect.objectContaining({ status: 200 }), state]);
  const enough = expect.objectContaining({ message: "enough" });
  expect(argumentsOf("failToProxy")).toEqual([session, enough, state]);
  expect(traced.calls.items.findLast((call) => call.name === "suppressErrorLog")?.args).toEqual([
    session,
    state,
    enough,
  ]);
  expect(argumentsOf("requestSummary")).toEqual([session, state]);
  expect(argumentsOf("logging")).toEqual([session, enough, state]);
  const sessions = traced.calls.items.flatMap((call) => call.args.filter((argument) => argument instanceof Session));
  expect(new Set(sessions).size).toBe(1);
});
