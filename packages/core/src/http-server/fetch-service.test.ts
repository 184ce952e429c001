import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { ResponseHead } from "@cirque/http";
import { afterEach, describe, expect, it } from "vitest";
import { type TestContext, testContext } from "../../test/server/test-context.ts";
import { ListeningService } from "../services/listening-service.ts";
import { type FetchHandler, fetchService } from "./fetch-service.ts";
import { HttpServer, type HttpServerApp } from "./http-server.ts";

const services: ListeningService<HttpServer>[] = [];

afterEach(async () => {
  for (const service of services.splice(0)) await service.stop(AbortSignal.abort());
});

describe("fetchService (SVC-17, SVC-18)", () => {
  it("answers with what the handler returns, and tells it the request", async () => {
    const seen: Request[] = [];
    const { url } = await started((request, session) => {
      seen.push(request);
      return Response.json({ from: session.clientAddress.split(":")[0] }, { status: 201, headers: { "x-own": "1" } });
    });
    const response = await fetch(`${url}/tea?milk=1`, { headers: { "x-cup": "large" } });
    expect(response.status).toBe(201);
    expect(response.headers.get("x-own")).toBe("1");
    expect(await response.json()).toEqual({ from: "127.0.0.1" });
    expect(seen[0]).toMatchObject({ method: "GET", url: `${url}/tea?milk=1`, body: null });
    expect(seen[0]?.headers.get("x-cup")).toBe("large");
  });

  it("streams both ways at once, and slows a sender down that is not read", async () => {
    const { url } = await started((request) => new Response(request.body));
    const piece = new Uint8Array(64 * 1024).fill(7);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 64) controller.close();
        else {
          controller.enqueue(piece);
          sent++;
        }
      },
    });
    const response = await fetch(url, { method: "POST", body, duplex: "half" } as RequestInit);
    const reader = response.body?.getReader();
    await reader?.read();
    let bytes = piece.length;
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) bytes += next.value.length;
    expect(bytes).toBeGreaterThanOrEqual(64 * piece.length);
  });

  it("drops a body that the handler does not read, and keeps the connection", async () => {
    const { port } = await started(() => new Response("fine"));
    const socket = connect(port, "127.0.0.1");
    const request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    socket.write(request + request.replace("Host: a", "Host: a\r\nConnection: close"));
    const answers = await text(socket);
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  });

  it("answers 500 when the handler throws or rejects, logs it, and goes on", async () => {
    let fault: (() => Response) | undefined = () => {
      throw new Error("a secret");
    };
    const { url, context } = await started(async () => fault?.() ?? new Response("fine"));
    const response = await fetch(url);
    expect(response.status).toBe(500);
    expect(await response.text()).toBe("500 Internal Server Error\n");
    expect(context.logger.messages("error")).toEqual(["the handler failed"]);
    fault = undefined;
    expect(await (await fetch(url)).text()).toBe("fine");
    const exposition = await context.metrics.exposition();
    expect(exposition).toContain('cirque_requests_total{service="test",status="5xx"} 1');
    expect(exposition).toContain('cirque_requests_total{service="test",status="2xx"} 1');
  });

  it("cuts a response whose body fails in the middle: it never passes for whole", async () => {
    const { port } = await started(() => {
      let pieces = 0;
      return new Response(
        new ReadableStream({
          pull(controller) {
            if (++pieces > 2) controller.error(new Error("broken"));
            else controller.enqueue(Buffer.from("piece"));
          },
        }),
      );
    });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const answer = await text(socket).catch((error: Error) => error.message);
    expect(answer).not.toMatch(/0\r\n\r\n$/);
  });

  it("aborts the signal of the request when the client leaves", async () => {
    const aborted = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const { port, context } = await started((request) => {
      request.signal.addEventListener("abort", () => aborted.resolve());
      asked.resolve();
      return new Promise<Response>(() => {});
    });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await asked.promise;
    socket.destroy();
    await aborted.promise;
    expect(context.logger.messages("error")).toEqual([]);
  });

  it.each([
    ["TRACE / HTTP/1.1", 501],
    ["GET http://a/b HTTP/1.1", 200],
    ["OPTIONS * HTTP/1.1", 200],
    ["GET / HTTP/1.1", 200],
  ])("%s is answered with %i", async (line, status) => {
    const { port } = await started(() => new Response("fine"));
    const socket = connect(port, "127.0.0.1");
    socket.write(`${line}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    expect(await text(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe("HttpServer (SVC-16)", () => {
  it("gives requests to an app, and tells it when the last connection has closed", async () => {
    const events: string[] = [];
    const { url, service } = await startedApp({
      start: () => void events.push("start"),
      processRequest(session) {
        events.push(`${session.method} ${session.request.target}`);
        session.writeHead(new ResponseHead(200, [["Content-Length", "2"]]), false);
        session.write(Buffer.from("ok"));
        session.end();
      },
      cleanup: () => void events.push("cleanup"),
    });
    expect(await (await fetch(`${url}/x`, { headers: { connection: "close" } })).text()).toBe("ok");
    await service.stop(new AbortController().signal);
    expect(events).toEqual(["start", "GET /x", "cleanup"]);
  });

  it("loses only the request that its app fails at", async () => {
    for (const fail of [() => Promise.reject(new Error("broken")), () => fault("broken")]) {
      const { url, context } = await startedApp({ processRequest: fail });
      await expect(fetch(url)).rejects.toThrow("fetch failed");
      expect(context.logger.messages("error")).toEqual(["the app failed to answer a request"]);
      await expect(fetch(url)).rejects.toThrow("fetch failed");
    }
  });

  it("logs whom it refuses, unless the app wants to know", async () => {
    const { port, context } = await startedApp({ processRequest() {} });
    const socket = connect(port, "127.0.0.1");
    socket.write("GARBAGE\r\n\r\n");
    await once(socket.resume(), "close");
    expect(context.logger.messages("info")).toContain("a client was refused");
  });
});

function fault(message: string): never {
  throw new Error(message);
}

async function started(handler: FetchHandler): ReturnType<typeof start> {
  return start(fetchService("test", handler));
}

async function startedApp(app: HttpServerApp): ReturnType<typeof start> {
  return start(new ListeningService("test", new HttpServer(app)));
}

async function start(
  service: ListeningService<HttpServer>,
): Promise<{ url: string; port: number; context: TestContext; service: ListeningService<HttpServer> }> {
  services.push(service);
  const context = testContext();
  await service.addTcp("127.0.0.1:0").start(context);
  const address = service.addresses()[0] ?? "";
  return { url: `http://${address}`, port: Number(address.split(":")[1]), context, service };
}
