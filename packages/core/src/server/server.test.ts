import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EchoHandler } from "../../test/server/echo-handler.ts";
import { closed, echo } from "../../test/server/program.ts";
import { RecordingLogger } from "../../test/server/recording-logger.ts";
import { ListeningService } from "../services/listening-service.ts";
import type { Service, ServiceContext } from "../services/service.ts";
import type { ExecutionPhase } from "./execution-phase.ts";
import { Server } from "./server.ts";
import type { StopMode } from "./shutdown-signal.ts";

/** Longer than any test may take: what passes did not wait for it. */
const forever = 1_000_000;

describe("Server", () => {
  it("goes through the phases of a graceful stop", async () => {
    const { server, phases } = recordedServer();
    expect(server.executionPhase).toBe("Setup");
    const controller = new AbortController();
    const run = server.run({ shutdownSignal: controller.signal });
    await running(server);
    controller.abort();
    await run;
    expect(phases).toEqual([
      "Bootstrap",
      "BootstrapComplete",
      "Running",
      "GracefulTerminate",
      "ShutdownStarted",
      "ShutdownGracePeriod",
      "ShutdownRuntimes",
      "Terminated",
    ]);
    expect(server.executionPhase).toBe("Terminated");
  });

  it("goes through the phases of a fast stop", async () => {
    const { server, phases } = recordedServer();
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    await server.stop("fast");
    await run;
    expect(phases.slice(2)).toEqual(["Running", "ShutdownStarted", "ShutdownRuntimes", "Terminated"]);
  });

  it("stops at once when its signal was aborted before", async () => {
    const { server, phases } = recordedServer();
    await server.run({ shutdownSignal: AbortSignal.abort() });
    expect(phases).not.toContain("Running");
    expect(phases.at(-1)).toBe("Terminated");
  });

  it("bootstraps once", () => {
    const { server, phases } = recordedServer();
    server.bootstrap();
    server.bootstrap();
    expect(phases).toEqual(["Bootstrap", "BootstrapComplete"]);
  });

  it("bootstraps as a service, after what that depends on and before what depends on it", async () => {
    const { server, phases } = recordedServer();
    const events: string[] = [];
    const record = (service: Service): Service => ({
      ...service,
      start: async () => {
        events.push(`${service.name} ${phases.includes("BootstrapComplete")}`);
      },
    });
    const before = server.addService(record(recordedService("before", [])));
    const bootstrap = server.bootstrapAsService().addDependency(before);
    server.addService(record(recordedService("after", []))).addDependency(bootstrap);
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    expect(bootstrap.name).toBe("BG Bootstrap Service");
    expect(events).toEqual(["before false", "after true"]);
    await server.stop();
    await run;
  });

  it("goes on when a watcher of the phase fails, and forgets one that unsubscribed", () => {
    const { server, logger, phases } = recordedServer();
    server.watchExecutionPhase(() => {
      throw new Error("watcher");
    });
    const forgotten: ExecutionPhase[] = [];
    server.watchExecutionPhase((phase) => forgotten.push(phase))();
    server.bootstrap();
    expect(phases).toHaveLength(2);
    expect(forgotten).toEqual([]);
    expect(logger.messages("error")[0]).toBe("a watcher of the execution phase failed");
  });

  it("starts a service when those it depends on are ready, and stops it before them", async () => {
    const { server } = recordedServer();
    const events: string[] = [];
    const slow = Promise.withResolvers<void>();
    const base: Service = {
      ...recordedService("base", events),
      start: async () => {
        events.push("base starts");
        await slow.promise;
        events.push("base is ready");
      },
    };
    const handles = server.addServices([recordedService("top", events), recordedService("other", events), base]);
    handles[0]?.addDependencies(handles.slice(2));
    const run = server.run({ shutdownSignal: idle });
    await expect.poll(() => events).toEqual(["base starts", "other starts"]);
    slow.resolve();
    await running(server);
    expect(events.slice(2)).toEqual(["base is ready", "top starts"]);
    await server.stop();
    await run;
    expect(events.slice(4)).toEqual(["other stops", "top stops", "base stops"]);
  });

  it("tells a service how long it waited, or logs it", async () => {
    const { server, logger } = recordedServer();
    const waited: number[] = [];
    const base = server.addService(recordedService("base", []));
    server.addService({ ...recordedService("a", []), onStartupDelay: (ms) => waited.push(ms) }).addDependency(base);
    server.addService(recordedService("b", [])).addDependency(base);
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    expect(waited).toEqual([expect.any(Number)]);
    expect(logger.records).toContainEqual(
      expect.objectContaining({ fields: { service: "b", waitedMs: expect.any(Number) } }),
    );
    await server.stop();
    await run;
  });

  it("gives each service the configuration, the metrics, and a logger with its name", async () => {
    const { server, logger } = recordedServer();
    let context: ServiceContext | undefined;
    server.addService({
      ...recordedService("a", []),
      start: async (given) => {
        context = given;
        given.logger.info("hello");
      },
    });
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    expect(context).toMatchObject({ configuration: server.configuration, metrics: server.metrics });
    expect(context?.shutdown.aborted).toBe(false);
    expect(logger.records).toContainEqual({ level: "info", message: "hello", fields: { service: "a" } });
    await server.stop();
    await run;
    expect(context?.shutdown.aborted).toBe(true);
  });

  it("stops what it started when one service fails to start, and says why", async () => {
    const { server, phases } = recordedServer();
    const events: string[] = [];
    const good = server.addService(recordedService("good", events));
    const bad = server.addService({
      ...recordedService("bad", events),
      start: () => Promise.reject(new Error("no port")),
    });
    bad.addDependency(good);
    server.addService(recordedService("dependent", events)).addDependency(bad);
    await expect(server.run({ shutdownSignal: idle })).rejects.toThrow("no port");
    expect(events).toEqual(["good starts", "bad stops", "good stops"]);
    expect(phases.at(-1)).toBe("Terminated");
  });

  it("treats an exception in start like a rejection", async () => {
    const { server } = recordedServer();
    server.addService({
      ...recordedService("bad", []),
      start: () => {
        throw new Error("thrown");
      },
    });
    await expect(server.run({ shutdownSignal: idle })).rejects.toThrow("thrown");
  });

  it("goes on stopping when a service fails to stop", async () => {
    const { server, logger } = recordedServer();
    const events: string[] = [];
    const good = server.addService(recordedService("good", events));
    server
      .addService({ ...recordedService("bad", []), stop: () => Promise.reject(new Error("stuck")) })
      .addDependency(good);
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    await server.stop();
    await run;
    expect(events).toEqual(["good starts", "good stops"]);
    expect(logger.messages("error")).toEqual(["the service failed to stop"]);
  });

  it("ends a graceful stop as soon as nothing is left", async () => {
    const { server, client, run } = await echoServer({ gracePeriodMs: forever });
    const stopped = server.stop();
    expect(await echo(client, "in flight")).toBe("in flight");
    client.end();
    await stopped;
    await run;
  });

  it("drops what is left when the grace period is over", async () => {
    const { server, client, run } = await echoServer({ gracePeriodMs: 20 });
    await server.stop();
    await closed(client);
    await run;
  });

  it("drops what is left when a fast stop follows a graceful one", async () => {
    const { server, client, run } = await echoServer({ gracePeriodMs: forever });
    const graceful = server.stop("graceful");
    await server.stop("fast");
    await Promise.all([graceful, closed(client), run]);
  });

  it("does not escalate when a graceful stop is asked for twice by code", async () => {
    const { server, client, run } = await echoServer({ gracePeriodMs: forever });
    const stops = [server.stop(), server.stop()];
    expect(await echo(client, "in flight")).toBe("in flight");
    client.end();
    await Promise.all([...stops, run]);
  });

  it("escalates with each request of its source", async () => {
    const { logger } = recordedServer();
    const server = new Server({
      logger,
      configuration: { gracePeriodMs: forever, gracefulShutdownTimeoutMs: forever },
    });
    const stopping = Promise.withResolvers<AbortSignal>();
    server.addService({
      ...recordedService("stuck", []),
      stop: (force) => {
        stopping.resolve(force);
        return new Promise(() => {});
      },
    });
    const source = Promise.withResolvers<(mode: StopMode) => void>();
    let released = false;
    const run = server.run({
      shutdownSignal: (request) => {
        source.resolve(request);
        return () => {
          released = true;
        };
      },
    });
    const request = await source.promise;
    await running(server);
    request("graceful");
    const force = await stopping.promise;
    expect(force.aborted).toBe(false);
    request("graceful");
    expect(force.aborted).toBe(true);
    request("graceful");
    await run;
    expect(released).toBe(true);
    expect(logger.messages("error")).toEqual(["these services did not stop in time"]);
  });

  it("names the services that do not stop, and leaves without them", async () => {
    const { logger } = recordedServer();
    const server = new Server({ logger, configuration: { gracePeriodMs: 0, gracefulShutdownTimeoutMs: 0 } });
    server.addService({ ...recordedService("stuck", []), stop: () => new Promise(() => {}) });
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    await server.stop();
    await run;
    expect(logger.records).toContainEqual({
      level: "error",
      message: "these services did not stop in time",
      fields: { services: ["stuck"] },
    });
  });

  it("stops at the end of its scope", async () => {
    const phases: ExecutionPhase[] = [];
    {
      await using server = recordedServer().server;
      server.watchExecutionPhase((phase) => phases.push(phase));
      void server.run({ shutdownSignal: idle });
      await running(server);
    }
    expect(phases.at(-1)).toBe("Terminated");
  });

  it("does not run twice", async () => {
    const { server } = recordedServer();
    const run = server.run({ shutdownSignal: idle });
    await expect(server.run({ shutdownSignal: idle })).rejects.toThrow("a server can be run only once");
    await server.stop();
    await run;
  });

  it("starts and stops services while it runs (SVC-19)", async () => {
    const { server } = recordedServer();
    const events: string[] = [];
    server.addService(recordedService("first", events));
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    const base = server.addService(recordedService("base", events));
    const top = server.addService(recordedService("top", events)).addDependency(base);
    await Promise.all([base.ready, top.ready]);
    expect(events).toEqual(["first starts", "base starts", "top starts"]);
    await expect(server.removeService(base)).rejects.toThrow('"top" depends on "base"; stop it first');
    await server.removeService(top);
    await server.removeService(base);
    expect(events.slice(3)).toEqual(["top stops", "base stops"]);
    await server.stop();
    await run;
    expect(events.slice(5)).toEqual(["first stops"]);
    expect(() => server.addService(recordedService("late", events))).toThrow('the server stops, and starts no "late"');
  });

  it("does not start a service that was removed in the same moment", async () => {
    const { server } = recordedServer();
    const events: string[] = [];
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    await server.removeService(server.addService(recordedService("withdrawn", events)));
    const next = server.addService(recordedService("next", events));
    await next.ready;
    expect(events).toEqual(["next starts"]);
    await server.stop();
    await run;
  });

  it("goes on when a service that is added while it runs does not start", async () => {
    const { server, logger } = recordedServer();
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    const start = (): Promise<void> => Promise.reject(new Error("no such thing"));
    const handle = server.addService({ ...recordedService("late", []), start });
    await expect(handle.ready).rejects.toThrow("no such thing");
    expect(logger.messages("error")).toContain("the service could not be started");
    expect(server.executionPhase).toBe("Running");
    await server.removeService(handle);
    await server.stop();
    await run;
  });

  it("leaves the signals of the process alone when it is given another source", async () => {
    const { server } = recordedServer();
    const before = ["SIGTERM", "SIGINT", "uncaughtException"].map((event) => process.listenerCount(event));
    const run = server.run({ shutdownSignal: idle });
    await running(server);
    expect(["SIGTERM", "SIGINT", "uncaughtException"].map((event) => process.listenerCount(event))).toEqual(before);
    await server.stop();
    await run;
  });

  it("watches the signals of the process while it runs, and no longer", async () => {
    const { server } = recordedServer();
    const counts = (): number[] =>
      ["SIGTERM", "SIGINT", "uncaughtException"].map((name) => process.listenerCount(name));
    const before = counts();
    const run = server.run();
    await running(server);
    expect(counts()).toEqual(before.map((count) => count + 1));
    await server.stop();
    await run;
    expect(counts()).toEqual(before);
  });

  it("takes its settings from the file of the command line", () => {
    const directory = mkdtempSync(join(tmpdir(), "cirque-server-"));
    const file = join(directory, "a.yaml");
    writeFileSync(file, "grace_period_seconds: 3\nthreads: 2\nmine: 1\n");
    const logger = new RecordingLogger();
    const server = new Server({ argv: ["-c", file, "-d"], logger });
    expect(server.configuration).toMatchObject({ gracePeriodMs: 3_000, daemon: true, userSettings: { mine: 1 } });
    expect(server.commandLine).toMatchObject({ conf: file, daemon: true });
    server.bootstrap();
    expect(logger.messages("warn")).toEqual([]);
    rmSync(directory, { recursive: true });
  });

  it("takes its settings from code, and warns that the file of the command line is ignored", () => {
    const logger = new RecordingLogger();
    const server = new Server({ configuration: { threads: 3 }, commandLine: { conf: "a.yaml" }, logger });
    expect(server.configuration.threads).toBe(3);
    server.bootstrap();
    expect(logger.messages("warn")).toEqual(["a.yaml is ignored, since the configuration is given in code"]);
  });

  it("refuses settings that are not valid", () => {
    expect(() => new Server({ configuration: { maxRetries: 0 } })).toThrow(
      "maxRetries: expected a whole number from 1 to 255, found 0",
    );
  });
});

const idle = new AbortController().signal;

function recordedServer(): { server: Server; logger: RecordingLogger; phases: ExecutionPhase[] } {
  const logger = new RecordingLogger();
  const server = new Server({ configuration: {}, logger });
  const phases: ExecutionPhase[] = [];
  server.watchExecutionPhase((phase) => phases.push(phase));
  return { server, logger, phases };
}

function recordedService(name: string, events: string[]): Service {
  return {
    name,
    start: async () => {
      events.push(`${name} starts`);
    },
    stop: async () => {
      events.push(`${name} stops`);
    },
  };
}

function running(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (server.executionPhase === "Running") resolve();
    server.watchExecutionPhase((phase) => {
      if (phase === "Running") resolve();
    });
  });
}

async function echoServer(configuration: { readonly gracePeriodMs: number }) {
  const server = new Server({ configuration, logger: new RecordingLogger() });
  const service = new ListeningService("echo", new EchoHandler()).addTcp("127.0.0.1:0");
  server.addService(service);
  const run = server.run({ shutdownSignal: idle });
  await running(server);
  const [host = "", port] = service.addresses()[0]?.split(":") ?? [];
  const client = connect(Number(port), host);
  client.on("error", () => {});
  await once(client, "connect");
  await echo(client, "hello");
  return { server, client, run };
}
