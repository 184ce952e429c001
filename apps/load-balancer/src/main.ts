import { backgroundService, metricsService, Server } from "@cirque/core";
import { LoadBalancer, RoundRobin, TcpHealthCheck } from "@cirque/load-balancing";
import { httpProxyService } from "@cirque/proxy";
import { Balancer } from "./balancer.ts";
import { Origins } from "./origins.ts";
import { settingsOrExit } from "./settings.ts";
import { welcome } from "./welcome.ts";

const server = new Server(); // understands -c FILE, -d, -t, --help
const settings = settingsOrExit(server.configuration);
server.bootstrap(); // with -t the program ends here

const origins = await Origins.choosePorts(settings.originPort);
const upstreams = LoadBalancer.from([...origins.addresses, "127.0.0.1:343"], { selection: RoundRobin });
upstreams.healthCheck = new TcpHealthCheck();
upstreams.healthCheckFrequencyMs = 1_000;

const demonstration = server.addService(origins);
const checks = server.addService(backgroundService("health check", upstreams)).addDependency(demonstration);

const proxy = httpProxyService(server.configuration, new Balancer(upstreams));
proxy.addTcp(settings.address);
server.addService(proxy).addDependency(checks);

const metrics = metricsService();
metrics.addTcp(settings.metricsAddress);
server.addService(metrics);

server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log(welcome(proxy, metrics, origins));
});
await server.runForever();
