import type { Logger } from "../../observability/logger.ts";

export interface WatchdogOptions {
  readonly isHealthy: () => boolean;
  readonly ping: () => void;
  readonly logger: Logger;
}

/**
 * Pings twice in each interval that systemd set, while the server is healthy. An event loop that hangs does not ping
 * either, which is what the watchdog is for. The function returned ends it.
 *
 * @param intervalUsec `WATCHDOG_USEC`; without it, or with 0, there is no watchdog.
 */
export function startWatchdog(
  intervalUsec: string | undefined,
  { isHealthy, ping, logger }: WatchdogOptions,
): () => void {
  if (intervalUsec === undefined || intervalUsec === "0") return () => {};
  const intervalMs = /^[0-9]{1,16}$/.test(intervalUsec) ? Number(intervalUsec) / 2_000 : Number.NaN;
  if (Number.isNaN(intervalMs)) {
    logger.warn({ WATCHDOG_USEC: intervalUsec.slice(0, 40) }, "WATCHDOG_USEC is not a number; systemd gets no pings");
    return () => {};
  }
  let healthy = true;
  const timer = setInterval(
    () => {
      const before = healthy;
      healthy = askHealth(isHealthy, before, logger);
      if (healthy) ping();
      if (before && !healthy) logger.error("the server is not healthy; until it is, systemd's watchdog gets no pings");
    },
    Math.min(intervalMs, longestTimerMs),
  );
  timer.unref();
  return () => clearInterval(timer);
}

/** Node's timers fire at once when they are set to more. */
const longestTimerMs = 2 ** 31 - 1;

function askHealth(isHealthy: () => boolean, before: boolean, logger: Logger): boolean {
  try {
    return isHealthy();
  } catch (error) {
    if (before) logger.error({ err: error }, "asking whether the server is healthy failed");
    return false;
  }
}
