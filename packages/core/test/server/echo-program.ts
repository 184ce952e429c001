import { once } from "node:events";
import { metricsService } from "../../src/observability/metrics-service.ts";
import { Server } from "../../src/server/server.ts";
import { backgroundService } from "../../src/services/background-service.ts";
import { ListeningService } from "../../src/services/listening-service.ts";
import { EchoHandler } from "./echo-handler.ts";

// A server as a user writes it: it echoes at the addresses in ECHO_ADDRESSES and shows metrics. When it runs, it
// prints one line for each address. NEVER_READY adds a task that becomes ready only when the server stops.
const server = new Server();
const echo = new ListeningService("echo", new EchoHandler());
for (const address of (process.env.ECHO_ADDRESSES ?? "127.0.0.1:0").split(",")) {
  if (address.startsWith("unix:")) echo.addUnix(address);
  else echo.addTcp(address, { bindRetries: 0 });
}
const metrics = metricsService().addTcp("127.0.0.1:0");
server.addServices([echo, metrics]);
if (process.env.NEVER_READY) {
  const untilStopped = async (shutdown: AbortSignal): Promise<void> => {
    await once(shutdown, "abort");
  };
  server.addService(backgroundService("never ready", { startWithReadyNotifier: untilStopped }));
}
server.watchExecutionPhase((phase) => {
  if (phase !== "Running") return;
  for (const service of [echo, metrics]) {
    for (const address of service.addresses()) console.log(`${service.name} ${address}`);
  }
  console.log(`running ${process.pid}`);
});
await server.runForever();
