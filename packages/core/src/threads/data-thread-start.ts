import { isMainThread, workerData } from "node:worker_threads";
import type { DataThreadStart } from "./messages.ts";

/** What this thread starts from if a server started it as a data thread. Other workers of a program are none of it. */
export function dataThreadStart(): DataThreadStart | undefined {
  if (isMainThread || typeof workerData !== "object" || workerData === null) return undefined;
  // Only DataThread sets this key.
  return (workerData as { readonly cirqueDataThread?: DataThreadStart }).cirqueDataThread;
}
