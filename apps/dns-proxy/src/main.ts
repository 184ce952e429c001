import { backgroundService, Server } from "@cirque/core";
import { LoadBalancer, RoundRobin, TcpHealthCheck } from "@cirque/load-balancing";
import { DemoResolvers } from "./demo-resolvers.ts";
import { dnsProxy } from "./dns-proxy.ts";
import { settingsOrExit } from "./settings.ts";
import { welcome } from "./welcome.ts";

const server = new Server(); // understands -c FILE, -d, -t, --help
const settings = settingsOrExit(server.configuration);
server.bootstrap(); // with -t the program ends here

const demonstration = new DemoResolvers(settings.resolvers.length > 0 ? [] : ["one", "two"], settings.demoPort);
const addresses = [...settings.resolvers, ...demonstration.addresses];
const resolvers = LoadBalancer.from(addresses, { selection: RoundRobin });
resolvers.healthCheck = new TcpHealthCheck();
resolvers.healthCheckFrequencyMs = 1_000;

const started = server.addService(demonstration);
const checks = server.addService(backgroundService("health check", resolvers)).addDependency(started);
for (const service of dnsProxy(server.configuration, resolvers, settings.address)) {
  server.addService(service).addDependency(checks);
}

server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log(welcome(settings.address, addresses));
});
await server.runForever();
