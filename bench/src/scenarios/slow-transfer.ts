import { setTimeout as delay } from "node:timers/promises";
import { LoadProgram } from "../load-program.ts";
import type { ProxyUnderTest } from "../proxy-under-test.ts";
import { memorySample, type Sample } from "../sample.ts";
import { warmUp } from "./warm-up.ts";

const lookEveryMs = 50;

/**
 * Lets a load with one slow side run for the window, and takes the highest growth of the proxy's memory.
 * The transfer has to be alive at the end: a proxy that gave it up would need no memory either.
 *
 * @param name the program in `load/`
 */
export async function measureSlowTransfer(name: string, proxy: ProxyUnderTest): Promise<Sample> {
  await warmUp(proxy);
  const baseBytes = proxy.rssBytes();
  await using load = await LoadProgram.start(name, proxy.port);
  let highestBytes = baseBytes;
  const end = performance.now() + proxy.seconds * 1_000;
  while (performance.now() < end) {
    await delay(lookEveryMs, undefined, { signal: proxy.signal });
    highestBytes = Math.max(highestBytes, proxy.rssBytes());
  }
  const { bytes, alive } = await load.figures("bytes", "alive");
  return memorySample(highestBytes - baseBytes, bytes > 0 && alive ? 0 : 1);
}
