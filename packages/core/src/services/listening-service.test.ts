import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { EchoHandler } from "../../test/server/echo-handler.ts";
import { closed, echo } from "../../test/server/program.ts";
import { type TestContext, testContext } from "../../test/server/test-context.ts";
import type { ConnectionHandler } from "./connection-handler.ts";
import { ListeningService } from "./listening-service.ts";

const never = new AbortController().signal;

describe("ListeningService", () => {
  it("gives connections of all its addresses to the handler, with their endpoint", async () => {
    const seen: string[] = [];
    const handler: ConnectionHandler = {
      handle(socket, { endpoint }) {
        seen.push(endpoint.address);
        socket.destroy();
      },
      drain: async () => {},
    };
    const service = new ListeningService("two", handler).addTcp("127.0.0.1:0").addTcp("[::1]:0");
    expect(service.endpoints()).toEqual([
      { address: "127.0.0.1:0", kind: "tcp" },
      { address: "[::1]:0", kind: "tcp" },
    ]);
    expect(service.addresses()).toEqual([]);
    await service.start(testContext());
    const [four = "", six = ""] = service.addresses();
    expect(four).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(six).toMatch(/^\[::1\]:\d+$/);
    await closed(await connectTo(four));
    await closed(await connectTo(six));
    expect(seen).toEqual(["127.0.0.1:0", "[::1]:0"]);
    await service.stop(never);
  });

  it("starts the handler before the first connection, and drains it after the last", async () => {
    const events: string[] = [];
    const handler: ConnectionHandler = {
      start: async ({ logger }) => {
        await new Promise(setImmediate);
        logger.info("handler started");
        events.push(`start with ${service.addresses().length} addresses`);
      },
      handle: () => {},
      drain: async () => {
        events.push("drain");
      },
    };
    const service = new ListeningService("a", handler).addTcp("127.0.0.1:0");
    await service.start(testContext());
    await service.stop(never);
    expect(events).toEqual(["start with 0 addresses", "drain"]);
  });

  it("counts what it accepts, and shows what is open", async () => {
    const context = testContext();
    const { service, client } = await started(context);
    await echo(client, "x");
    const labelled = (name: string): RegExp =>
      new RegExp(`^${name}\\{(?=.*service="echo")(?=.*listener="127.0.0.1:0").*\\} 1$`, "m");
    expect(await context.metrics.exposition()).toMatch(labelled("cirque_connections_accepted_total"));
    expect(await context.metrics.exposition()).toMatch(labelled("cirque_connections_open"));
    client.end();
    await service.stop(never);
    expect(await context.metrics.exposition()).not.toContain("cirque_connections_open{");
  });

  it.each([
    [
      "throws",
      (): void => {
        throw new Error("handler");
      },
    ],
    [
      "rejects",
      (async () => {
        throw new Error("handler");
      }) as () => void,
    ],
  ])("destroys, logs and counts a connection whose handler %s, and serves the next", async (_how, fail) => {
    const context = testContext();
    const echoing = new EchoHandler();
    let first = true;
    const handler: ConnectionHandler = {
      handle: (socket) => {
        if (!first) return echoing.handle(socket);
        first = false;
        return fail();
      },
      drain: (force) => echoing.drain(force),
    };
    const service = new ListeningService("echo", handler).addTcp("127.0.0.1:0");
    await service.start(context);
    await closed(await connectTo(service.addresses()[0]));
    const next = await connectTo(service.addresses()[0]);
    expect(await echo(next, "served")).toBe("served");
    expect(context.logger.messages("error")).toEqual(["the connection handler failed"]);
    expect(await context.metrics.exposition()).toMatch(/^cirque_connection_handler_errors_total\{.*\} 1$/m);
    next.end();
    await service.stop(never);
  });

  it("accepts nothing while it drains, and ends when nothing is left", async () => {
    const { service, client } = await started(testContext());
    const address = service.addresses()[0];
    const stopped = service.stop(never);
    await expect(connectTo(address)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    expect(await echo(client, "still served")).toBe("still served");
    client.end();
    await stopped;
  });

  it("binds all its addresses or none", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const service = new ListeningService("a", new EchoHandler())
      .addTcp("127.0.0.1:0")
      .addTcp(`127.0.0.1:${port}`, { bindRetries: 0 });
    const context = testContext();
    await expect(service.start(context)).rejects.toMatchObject({ code: "BindError" });
    expect(service.addresses()).toEqual([]);
    await service.stop(AbortSignal.abort());
    taken.close();
  });

  it("warns while it waits for an address that is in use", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    const context = testContext();
    const service = new ListeningService("a", new EchoHandler()).addTcp(`127.0.0.1:${port}`, {
      bindRetries: 1_000_000,
      bindRetryIntervalMs: 1,
    });
    const starting = service.start(context);
    await expect.poll(() => context.logger.messages("warn")[0]).toContain("the address is in use");
    taken.close();
    await starting;
    await service.stop(never);
  });

  it("warns when it has no address", async () => {
    const context = testContext();
    const service = new ListeningService("a", new EchoHandler());
    await service.start(context);
    expect(context.logger.messages("warn")).toEqual(["the service has no address to listen on"]);
    await service.stop(never);
  });

  it("refuses addresses that are malformed, or come after the start", async () => {
    const { service, client } = await started(testContext());
    expect(() => service.addTcp("localhost")).toThrow("the port is missing");
    expect(() => service.addTcp("127.0.0.1:0")).toThrow('has to be added before the service "echo" starts');
    client.end();
    await service.stop(never);
  });
});

async function started(context: TestContext): Promise<{ service: ListeningService; client: Socket }> {
  const service = new ListeningService("echo", new EchoHandler()).addTcp("127.0.0.1:0");
  await service.start(context);
  const client = await connectTo(service.addresses()[0]);
  await echo(client, "hello");
  return { service, client };
}

async function connectTo(address = ""): Promise<Socket> {
  const colon = address.lastIndexOf(":");
  const socket = connect(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/[[\]]/g, ""));
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}
