import { backgroundService, HttpPeer, metricsService, Server } from "@cirque/core";
import type { ResponseHead } from "@cirque/http";
import { LoadBalancer, TcpHealthCheck } from "@cirque/load-balancing";
import { httpProxyService, type ProxyHttp, type Session } from "@cirque/proxy";

// A gateway as a user writes it, in front of the origins that its configuration file names. Responses tell the setting
// `mark`, which a reload changes, the process and the thread that served them, and the origin. Some paths do harm: /exit
// ends the thread, /throw and /reject fail in a callback, /hang waits in one for ever.

interface Settings {
  readonly origins: readonly string[];
  readonly mark: string;
}

class Gateway implements ProxyHttp {
  mark: string;
  readonly #upstreams: LoadBalancer;
  readonly #servedBy: string;

  constructor(upstreams: LoadBalancer, mark: string, threadIndex: number) {
    this.#upstreams = upstreams;
    this.mark = mark;
    this.#servedBy = `${process.pid}/${threadIndex}`;
  }

  requestFilter({ request }: Session): Response | Promise<undefined> | undefined {
    switch (request.target) {
      case "/exit":
        return process.exit(3);
      case "/throw":
        throw new Error("thrown by a filter");
      case "/reject":
        return Promise.reject(new Error("rejected by a filter"));
      case "/hang":
        return new Promise(() => {});
      default:
        return undefined;
    }
  }

  upstreamPeer(): HttpPeer | Response {
    const backend = this.#upstreams.select();
    return backend ? new HttpPeer(backend.address) : new Response("no healthy upstream\n", { status: 503 });
  }

  responseFilter(session: Session, { headers }: ResponseHead): void {
    headers.set("mark", this.mark);
    headers.set("served-by", this.#servedBy);
    headers.set("origin", session.upstream?.remoteAddress ?? "");
    headers.set("attempts", `${session.attempts}`);
  }
}

function settingsFrom({ origins, mark }: Readonly<Record<string, unknown>>): Settings {
  if (!Array.isArray(origins)) throw new Error("origins: expected a list of addresses");
  if (mark === "refused") throw new Error("mark: this one is refused");
  return { origins: origins.map(String), mark: String(mark) };
}

const server = new Server();
const settings = settingsFrom(server.configuration.userSettings);
const upstreams = LoadBalancer.from(settings.origins);
upstreams.healthCheck = new TcpHealthCheck();
upstreams.healthCheckFrequencyMs = 100;
const gateway = new Gateway(upstreams, settings.mark, server.threadIndex);
const proxy = httpProxyService(server.configuration, gateway, { callbackTimeoutMs: 500 }).addTcp("127.0.0.1:0");
const metrics = metricsService().addTcp("127.0.0.1:0");
const checks = server.addService(backgroundService("health check", upstreams));
server.addService(proxy).addDependency(checks);
server.addService(metrics);
server.onReload(({ userSettings }) => {
  const { mark } = settingsFrom(userSettings);
  return () => {
    gateway.mark = mark;
  };
});
server.watchExecutionPhase((phase) => {
  if (phase !== "Running" || server.threadIndex > 0) return;
  for (const { service, boundAddress } of server.listeningSockets) console.log(`${service} at ${boundAddress}`);
  console.log(`process ${process.pid} runs`);
});
await server.runForever();
