import { parentPort, workerData } from "node:worker_threads";
import { logsWritten } from "../../src/observability/log-destination.ts";
import { createLogger } from "../../src/observability/logger.ts";

// A thread that writes so many lines, some of them long, and says when they are written.
const { destination, thread, lines } = workerData;
const logger = createLogger({ destination, fields: { thread } });
for (let line = 0; line < lines; line++) {
  logger.info({ line, filling: "x".repeat((line * 37) % 1_000) }, "from a thread");
  if (line % 50 === 0) await new Promise(setImmediate);
}
await logsWritten(30_000);
parentPort?.postMessage("written");
