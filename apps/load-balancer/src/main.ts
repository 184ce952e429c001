import { backgroundService, metricsService, Server } from "@cirque/core";
import { LoadBalancer, RoundRobin, TcpHealthCheck } from "@cirque/load-balancing";
import { httpProxyService } from "@cirque/proxy";
import { Balancer } from "./balancer.ts";
import { Origins } from "./origins.ts";
import { settingsOrExit } from "./settings.ts";
import { welcome } from "./welcome.ts";

const server = new Server(); // understands -c FILE, -d, -t, -u, --help
const settings = settingsOrExit(server.configuration);
server.bootstrap(); // with -t the program ends here

// With `threads: 2` and more, each data thread runs this program too. The origins are in the main thread alone, and the
// balancers of the others take over from the one there which backends there are, and which of them are healthy.
const origins = server.threadIndex === 0 ? await Origins.choosePorts(settings.originPort) : undefined;
const upstreams = LoadBalancer.from([...(origins?.addresses ?? []), "127.0.0.1:343"], { selection: RoundRobin });
upstreams.healthCheck = new TcpHealthCheck();
upstreams.healthCheckFrequencyMs = 1_000;
const checks = server.addService(backgroundService("health check", upstreams));

const proxy = httpProxyService(server.configuration, new Balancer(upstreams));
proxy.addTcp(settings.address);
server.addService(proxy).addDependency(checks);

const metrics = metricsService();
metrics.addTcp(settings.metricsAddress);
server.addService(metrics);

if (origins) {
  checks.addDependency(server.addService(origins));
  server.watchExecutionPhase((phase) => {
    if (phase === "Running") console.log(welcome(server, { proxy, metrics, origins }));
  });
}
await server.runForever();
