import { createConfiguration } from "../../src/configuration/create-configuration.ts";
import { MetricsRegistry } from "../../src/observability/metrics-registry.ts";
import type { ServiceContext } from "../../src/services/service.ts";
import { singleThread } from "../../src/threads/single-thread.ts";
import { RecordingLogger } from "./recording-logger.ts";

/** What a service is given, with everything at hand to look at. */
export interface TestContext extends ServiceContext {
  readonly logger: RecordingLogger;
  readonly controller: AbortController;
}

export function testContext(): TestContext {
  const controller = new AbortController();
  return {
    logger: new RecordingLogger(),
    metrics: new MetricsRegistry(),
    configuration: createConfiguration(),
    thread: singleThread(),
    shutdown: controller.signal,
    controller,
  };
}
