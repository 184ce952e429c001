import { once } from "node:events";
import { existsSync } from "node:fs";
import { metricsService } from "../../src/observability/metrics-service.ts";
import { Server } from "../../src/server/server.ts";
import { backgroundService } from "../../src/services/background-service.ts";
import { ListeningService } from "../../src/services/listening-service.ts";
import { EchoHandler } from "./echo-handler.ts";

// A server as a user writes it: it echoes at the addresses in ECHO_ADDRESSES and shows metrics. When it runs, it
// prints one line for each address. ECHO_MAX_CONNECTIONS limits its connections, and ECHO_TLS holds settings of TLS.
// NEVER_READY, or the file NEVER_READY_IF, adds a task that becomes ready only when the server stops; FAIL_IN_THREAD is
// the number of a thread in which the program fails.
const server = new Server();
if (process.env.FAIL_IN_THREAD === String(server.threadIndex)) throw new Error("fails in this thread");
const { ECHO_THREADS, ONE_THREAD_IF } = process.env;
const threads = ONE_THREAD_IF && existsSync(ONE_THREAD_IF) ? "1" : ECHO_THREADS;
const echo = new ListeningService("echo", new EchoHandler(), threads ? { threads: Number(threads) } : {});
for (const address of (process.env.ECHO_ADDRESSES ?? "127.0.0.1:0").split(",")) {
  if (address.startsWith("unix:")) echo.addUnix(address);
  else if (process.env.ECHO_TLS) echo.addTls(address, JSON.parse(process.env.ECHO_TLS));
  else echo.addTcp(address, { bindRetries: 0 });
}
if (process.env.ECHO_MAX_CONNECTIONS) {
  echo.limitConnections({ maxConnections: Number(process.env.ECHO_MAX_CONNECTIONS) });
}
const metrics = metricsService().addTcp("127.0.0.1:0");
server.addServices([echo, metrics]);
const { NEVER_READY, NEVER_READY_IF } = process.env;
if (NEVER_READY || (NEVER_READY_IF && existsSync(NEVER_READY_IF))) {
  const untilStopped = async (shutdown: AbortSignal): Promise<void> => {
    await once(shutdown, "abort");
  };
  server.addService(backgroundService("never ready", { startWithReadyNotifier: untilStopped }));
}
if (server.threadIndex > 0)
  console.log(`starts ${server.threadIndex} ${JSON.stringify(server.configuration.userSettings)}`);
server.onReload(({ userSettings }) => {
  if (userSettings.refuse === server.threadIndex) throw new Error(`refused by thread ${server.threadIndex}`);
  return () => console.log(`reloaded ${server.threadIndex} ${JSON.stringify(userSettings)}`);
});
server.watchExecutionPhase((phase) => {
  if (phase !== "Running" || server.threadIndex !== 0) return;
  for (const service of [echo, metrics]) {
    const bound = server.listeningSockets.filter((socket) => socket.service === service.name);
    for (const address of new Set(bound.map(({ boundAddress }) => boundAddress)))
      console.log(`${service.name} ${address}`);
  }
  console.log(`running ${process.pid}`);
});
await server.runForever();
