import { CirqueError, createConfiguration, HttpPeer } from "@cirque/core";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  type HttpModule,
  type HttpModuleFactory,
  HttpProxy,
  httpProxyService,
  type ProxyHttp,
  type Session,
} from "../../src/index.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { get, post, postChunks, TestProxy } from "../harness/test-proxy.ts";

const chunked = (body: string, trailers = ""): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n${trailers}\r\n`;

/** A module that notes each call in `calls`. */
function traced(name: string, calls: string[], options: { order?: number; mode?: "sync" | "async" } = {}) {
  const note = (phase: string): void | Promise<void> => {
    calls.push(`${name}.${phase}`);
    return options.mode === "async" ? Promise.resolve() : undefined;
  };
  return {
    name,
    ...(options.order !== undefined && { order: options.order }),
    create(): HttpModule {
      calls.push(`${name}.create`);
      return {
        requestFilter: () => note("requestFilter"),
        requestBodyFilter: (_session, chunk) => note(`requestBodyFilter ${chunk.data ?? "end"}`),
        responseFilter: (_session, response) => note(`responseFilter ${response.status}`),
        responseBodyFilter: (_session, chunk) => note(`responseBodyFilter ${chunk.data ?? "end"}`),
        responseTrailerFilter: (_session, trailers) =>
          note(`responseTrailerFilter ${trailers.size}`) as Promise<undefined>,
        done: () => void calls.push(`${name}.done`),
      };
    },
  } satisfies HttpModuleFactory;
}

function callbacksNoted(calls: string[], peer: () => HttpPeer | Response): ProxyHttp<void> {
  const note = (phase: string) => (): undefined => void calls.push(phase);
  return {
    earlyRequestFilter: note("earlyRequestFilter"),
    requestFilter: note("requestFilter"),
    upstreamPeer: peer,
    requestBodyFilter: (_session, chunk) => void calls.push(`requestBodyFilter ${chunk.data ?? "end"}`),
    adjustUpstreamModules: note("adjustUpstreamModules"),
    upstreamResponseFilter: note("upstreamResponseFilter"),
    upstreamResponseBodyFilter: (_session, chunk) =>
      void calls.push(`upstreamResponseBodyFilter ${chunk.data ?? "end"}`),
    upstreamResponseTrailerFilter: note("upstreamResponseTrailerFilter"),
    responseFilter: note("responseFilter"),
    responseBodyFilter: (_session, chunk) => void calls.push(`responseBodyFilter ${chunk.data ?? "end"}`),
    responseTrailerFilter: note("responseTrailerFilter"),
    logging: note("logging"),
  };
}

for (const mode of ["sync", "async"] as const) {
  it(`modules, ${mode}, run in their order between the client and the callbacks, and between those and the origin`, async () => {
    await using origin = await RawOrigin.answering(okResponse("out"));
    const calls: string[] = [];
    await using proxy = await TestProxy.start(
      callbacksNoted(calls, () => origin.peer()),
      {
        modules: [traced("late", calls, { order: -1, mode }), traced("early", calls, { order: 1, mode })],
        upstreamModules: [traced("upstream", calls, { mode })],
      },
    );

    const [response] = readResponses(await proxy.exchange(post("in")));

    expect(response).toMatchObject({ status: 200, body: "out" });
    const request = calls.slice(0, calls.indexOf("adjustUpstreamModules"));
    expect(request.filter((call) => !call.includes(".create"))).toEqual(
      [
        ...["earlyRequestFilter", "early.requestFilter", "late.requestFilter", "requestFilter"],
        ...["early.requestBodyFilter in", "late.requestBodyFilter in", "requestBodyFilter in"],
        ...["early.requestBodyFilter end", "late.requestBodyFilter end", "requestBodyFilter end"],
        "upstream.create",
      ].filter((call) => !call.includes(".create")),
    );
    const response_ = calls.slice(calls.indexOf("adjustUpstreamModules"));
    expect(response_).toEqual([
      ...["adjustUpstreamModules", "upstream.responseFilter 200", "upstreamResponseFilter"],
      ...["responseFilter", "early.responseFilter 200", "late.responseFilter 200"],
      ...["upstream.responseBodyFilter out", "upstreamResponseBodyFilter out", "responseBodyFilter out"],
      ...["early.responseBodyFilter out", "late.responseBodyFilter out"],
      ...["upstream.responseBodyFilter end", "upstream.responseTrailerFilter 0"],
      ...["upstreamResponseBodyFilter end", "upstreamResponseTrailerFilter"],
      ...["responseBodyFilter end", "responseTrailerFilter"],
      ...["early.responseBodyFilter end", "early.responseTrailerFilter 0"],
      ...["late.responseBodyFilter end", "late.responseTrailerFilter 0"],
      ...["upstream.done", "early.done", "late.done", "logging"],
    ]);
  });

  it(`an answer of a module, ${mode}, ends the request, and passes the response methods of all`, async () => {
    const calls: string[] = [];
    const answering: HttpModuleFactory = {
      name: "answering",
      create: () => ({
        requestFilter: () => (mode === "sync" ? new Response("mine") : Promise.resolve(new Response("mine"))),
      }),
    };
    await using proxy = await TestProxy.start(
      callbacksNoted(calls, () => new Response("not asked")),
      {
        modules: [traced("early", calls, { order: 1, mode }), answering, traced("late", calls, { order: -1, mode })],
      },
    );

    const [response] = readResponses(await proxy.exchange(get()));

    expect(response).toMatchObject({ status: 200, body: "mine" });
    expect(response?.headers.get("content-length")).toBe("4");
    expect(calls).toEqual([
      ...["early.create", "late.create", "earlyRequestFilter", "early.requestFilter"],
      ...["early.responseFilter 200", "late.responseFilter 200"],
      ...["early.responseBodyFilter mine", "late.responseBodyFilter mine"],
      ...["early.responseBodyFilter end", "early.responseTrailerFilter 0"],
      ...["late.responseBodyFilter end", "late.responseTrailerFilter 0", "early.done", "late.done", "logging"],
    ]);
  });
}

describe("a module", () => {
  it("is there for callbacks, typed, to be told what a request needs (MOD-04)", async () => {
    class Greeting implements HttpModule {
      text = "hello";
      responseFilter(_session: Session, response: { headers: { set(name: string, value: string): unknown } }): void {
        response.headers.set("x-greeting", this.text);
      }
    }
    const greeting = { name: "greeting", create: () => new Greeting() };
    expectTypeOf<Session["module"]>().toBeCallableWith(greeting);
    await using proxy = await TestProxy.start(
      {
        earlyRequestFilter(session) {
          if (session.request.path === "/evening") session.module(greeting).text = "good evening";
        },
        upstreamPeer: () => new Response("x"),
      },
      { modules: [greeting] },
    );

    const text = (await proxy.exchange(get("/evening"))) + (await proxy.exchange(get("/")));

    expect(readResponses(text).map((response) => response.headers.get("x-greeting"))).toEqual([
      "good evening",
      "hello",
    ]);
  });

  it("of the upstream side is made for each attempt, and can be told from `adjustUpstreamModules` on", async () => {
    await using origin = await RawOrigin.answering(okResponse("x"));
    let made = 0;
    const factory = {
      name: "counting",
      create: () => {
        const module = { number: ++made, label: "", responseFilter() {}, done() {} };
        return Object.assign(module, {
          responseFilter: (_session: Session, response: { headers: { set(name: string, value: string): unknown } }) =>
            void response.headers.set("x-label", `${module.label}${module.number}`),
        });
      },
    };
    const early: unknown[] = [];
    await using proxy = await TestProxy.start(
      {
        earlyRequestFilter(session) {
          try {
            session.module(factory);
          } catch (error) {
            early.push((error as CirqueError).code);
          }
        },
        upstreamPeer: () => origin.peer(),
        adjustUpstreamModules(session) {
          session.module(factory).label = "attempt ";
        },
        upstreamResponseFilter(session) {
          if (session.attempts === 1) throw CirqueError.upstream("H1Error", "once more", { retry: true });
        },
      },
      { upstreamModules: [factory] },
    );

    const [response] = readResponses(await proxy.exchange(get()));

    expect(response?.headers.get("x-label")).toBe("attempt 2");
    expect(early).toEqual(["InvalidArgument"]);
  });

  it("that the proxy does not have cannot be asked for", async () => {
    const other = { name: "other", create: () => ({}) };
    const codes: unknown[] = [];
    await using proxy = await TestProxy.start({
      requestFilter(session) {
        try {
          session.module(other);
        } catch (error) {
          codes.push((error as CirqueError).code);
        }
      },
      upstreamPeer: () => new Response("x"),
    });
    await proxy.exchange(get());
    expect(codes).toEqual(["InvalidArgument"]);
  });

  it("may leave a request alone", async () => {
    const absent: HttpModuleFactory<undefined> = { name: "absent", create: () => undefined };
    await using proxy = await TestProxy.start({ upstreamPeer: () => new Response("x") }, { modules: [absent] });
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 200, body: "x" }]);
  });

  it("takes its body methods away when a head does not concern it", async () => {
    const seen: string[] = [];
    const once: HttpModuleFactory = {
      name: "once",
      create(): HttpModule {
        const module: HttpModule = {
          responseBodyFilter: (_session, chunk) => void seen.push(`${chunk.data ?? "end"}`),
          responseFilter(_session, response) {
            if (response.headers.has("x-plain")) delete module.responseBodyFilter;
          },
        };
        return module;
      },
    };
    await using origin = await RawOrigin.answering((request) =>
      okResponse("hello", request.head.path === "/plain" ? "X-Plain: 1\r\n" : ""),
    );
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules: [once] });
    await proxy.exchange(get("/plain"));
    expect(seen).toEqual([]);
    await proxy.exchange(get("/"));
    expect(seen).toEqual(["hello", "end"]);
  });

  it("sees a request body once, however often an origin is asked, and what it makes of it is sent each time", async () => {
    const seen: string[] = [];
    const upper: HttpModuleFactory = {
      name: "upper",
      create: () => ({
        async requestBodyFilter(_session, chunk) {
          seen.push(`${chunk.data ?? "end"}`);
          await Promise.resolve();
          chunk.data = chunk.end ? Buffer.from("!") : Buffer.from(`${chunk.data}`.toUpperCase());
        },
      }),
    };
    const bodies: string[] = [];
    await using origin = await RawOrigin.start(async (connection) => {
      const { body } = await connection.request();
      bodies.push(body);
      if (connection.index === 0) connection.reset();
      else connection.send(okResponse("done"));
    });
    await using proxy = await TestProxy.start(
      {
        upstreamPeer: () => origin.peer(),
        errorWhileProxy: (_peer, _session, error) => Object.assign(error, { retry: true }),
      },
      { modules: [upper] },
    );

    const put = postChunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").replace("POST", "PUT");
    const [response] = readResponses(await proxy.exchange(put), "PUT");

    expect(response).toMatchObject({ status: 200, body: "done" });
    expect(bodies).toEqual(["ABCDE!", "ABCDE!"]);
    expect(seen).toEqual(["abc", "de", "end"]);
  });

  const phases: readonly (keyof HttpModule)[] = [
    "requestFilter",
    "responseFilter",
    "responseBodyFilter",
    "responseTrailerFilter",
  ];
  for (const phase of phases) {
    for (const mode of ["sync", "async"] as const) {
      it(`that fails in \`${phase}\`, ${mode}, hurts one request`, async () => {
        await using origin = await RawOrigin.answering(chunked("x"));
        const failing: HttpModuleFactory = {
          name: "failing",
          create: (session) =>
            session.request.path !== "/fail"
              ? undefined
              : {
                  [phase]: () => {
                    if (mode === "sync") throw new Error("a mistake");
                    return Promise.reject(new Error("a mistake"));
                  },
                },
        };
        const errors: unknown[] = [];
        await using proxy = await TestProxy.start(
          {
            upstreamPeer: () => origin.peer(),
            logging: (session, error) => void (session.request.path === "/fail" && errors.push(error?.message)),
          },
          { modules: [failing] },
        );

        const text = await proxy.exchange(get("/fail"));

        const cut = phase === "responseBodyFilter" || phase === "responseTrailerFilter";
        if (cut) expect(() => readResponses(text)).toThrow();
        else expect(readResponses(text)).toMatchObject([{ status: 500 }]);
        expect(errors).toEqual(["a callback failed: a mistake"]);
        expect(readResponses(await proxy.exchange(get("/")))).toMatchObject([{ status: 200, body: "x" }]);
      });
    }
  }

  it("that cannot be made, or fails when all is over, hurts one request at most", async () => {
    const done: string[] = [];
    const failing: HttpModuleFactory = {
      name: "failing",
      create: (session) => {
        if (session.request.path === "/create") throw new Error("cannot");
        return {
          done() {
            throw new Error("a mistake");
          },
        };
      },
    };
    const other: HttpModuleFactory = {
      name: "other",
      create: () => ({ done: (session) => void done.push(session.request.path) }),
    };
    await using proxy = await TestProxy.start({ upstreamPeer: () => new Response("x") }, { modules: [failing, other] });

    expect(readResponses(await proxy.exchange(get("/create")))).toMatchObject([{ status: 500 }]);
    expect(readResponses(await proxy.exchange(get("/done")))).toMatchObject([{ status: 200, body: "x" }]);
    expect(done).toEqual(["/done"]);
  });

  it("sees the answer to a failed request", async () => {
    const marking: HttpModuleFactory = {
      name: "marking",
      create: () => ({ responseFilter: (_session, response) => void response.headers.set("x-seen", "1") }),
    };
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => Promise.reject(CirqueError.httpStatus(418, "no")) },
      { modules: [marking] },
    );
    const [response] = readResponses(await proxy.exchange(get()));
    expect(response).toMatchObject({ status: 418 });
    expect(response?.headers.get("x-seen")).toBe("1");
  });

  it("may end a body before the origin does", async () => {
    const first: HttpModuleFactory = {
      name: "first",
      create: () => ({
        responseBodyFilter(_session, chunk) {
          chunk.end = true;
        },
      }),
    };
    await using origin = await RawOrigin.start(async (connection) => {
      await connection.request();
      connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    });
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules: [first] });

    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ status: 200, body: "hello" }]);

    const connection = await origin.connections.at(0);
    await connection.when(() => connection.ended || connection.closed, "the end of a connection that is of no use");
  });

  it("that streams an answer lets go of it when the client leaves", async () => {
    const cancelled = Promise.withResolvers<unknown>();
    const plain: HttpModuleFactory = { name: "plain", create: () => ({ responseFilter() {} }) };
    await using proxy = await TestProxy.start(
      {
        requestFilter: () =>
          new Response(
            new ReadableStream({
              pull: (controller) => controller.enqueue(Buffer.alloc(64 * 1024)),
              cancel: (reason) => cancelled.resolve(reason),
            }),
          ),
        upstreamPeer: () => new Response("not asked"),
      },
      { modules: [plain] },
    );
    const client = await proxy.client();
    await client.send(get("/", "")).bytes(64 * 1024);
    client.reset();
    expect(await cancelled.promise).toMatchObject({ source: "downstream" });
  });
});

describe("modules that are there twice are refused (MOD-03)", () => {
  const one: HttpModuleFactory = { name: "one", create: () => ({}) };
  const same: HttpModuleFactory = { name: "one", create: () => ({}) };
  const callbacks: ProxyHttp = { upstreamPeer: () => new HttpPeer("127.0.0.1:1") };
  for (const option of ["modules", "upstreamModules"] as const) {
    it(`in \`${option}\`, when the proxy is made and when it gets new options`, () => {
      expect(() => new HttpProxy(callbacks, { [option]: [one, same] })).toThrow(/"one" is twice/);
      expect(() => httpProxyService(createConfiguration(), callbacks, { [option]: [one, one] })).toThrow(
        /"one" is twice/,
      );
      const proxy = new HttpProxy(callbacks, { [option]: [one] });
      expect(() => proxy.prepareOptions({ [option]: [one, same] })).toThrow(/"one" is twice/);
    });
  }
  it("and one whose order is no number", () => {
    expect(() => new HttpProxy(callbacks, { modules: [{ ...one, order: Number.NaN }] })).toThrow(/not a number/);
  });
});

describe("trailers", () => {
  it("of an origin pass the filters, and what they make of them is sent", async () => {
    await using origin = await RawOrigin.answering(chunked("hi", "X-Sum: 1\r\nX-Secret: 2\r\n"));
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      upstreamResponseTrailerFilter: (_session, trailers) => void trailers.delete("x-secret"),
      responseTrailerFilter: (_session, trailers) => void trailers.append("x-more", trailers.get("x-sum") ?? "none"),
    });
    const [response] = readResponses(await proxy.exchange(get()));
    expect(response?.body).toBe("hi");
    expect(Array.from(response?.trailers ?? [])).toEqual([
      ["X-Sum", "1"],
      ["x-more", "1"],
    ]);
  });

  it("can be added where none came, but not where they frame or nothing has a place for them", async () => {
    await using origin = await RawOrigin.answering((request) =>
      request.head.path === "/length" ? okResponse("hi") : chunked("hi"),
    );
    await using proxy = await TestProxy.start({
      upstreamPeer: () => origin.peer(),
      responseTrailerFilter(_session, trailers) {
        trailers.append("x-sum", "1").append("content-length", "7").append("transfer-encoding", "chunked");
      },
    });
    const [response] = readResponses(await proxy.exchange(get()));
    expect(Array.from(response?.trailers ?? [])).toEqual([["x-sum", "1"]]);
    expect(readResponses(await proxy.exchange(get("/length")))).toMatchObject([{ body: "hi", trailers: undefined }]);
  });

  it("that become bytes are the end of the body, also for the modules behind (PH-33)", async () => {
    await using origin = await RawOrigin.answering(chunked("hi", "X-Sum: 1\r\n"));
    const shout: HttpModuleFactory = {
      name: "shout",
      order: -1,
      create: () => ({
        responseBodyFilter(_session, chunk) {
          chunk.data = chunk.data && Buffer.from(chunk.data.toString().toUpperCase());
        },
      }),
    };
    const inBody: HttpModuleFactory = {
      name: "in body",
      create: () => ({ responseTrailerFilter: (_session, trailers) => Buffer.from(`[sum ${trailers.get("x-sum")}]`) }),
    };
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() }, { modules: [shout, inBody] });
    expect(readResponses(await proxy.exchange(get()))).toMatchObject([{ body: "HI[SUM 1]", trailers: undefined }]);
  });

  it("of a request go on to the origin", async () => {
    await using origin = await RawOrigin.answering(okResponse(""));
    await using proxy = await TestProxy.start({ upstreamPeer: () => origin.peer() });
    await proxy.exchange(postChunks("1\r\nx\r\n0\r\nX-Sum: 1\r\nHost: b.example\r\n\r\n"));
    const { text } = await origin.connections.at(0);
    expect(text).toMatch(/\r\n0\r\nX-Sum: 1\r\n\r\n$/);
  });
});
