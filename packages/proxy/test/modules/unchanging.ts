import { setTimeout } from "node:timers/promises";
import { settled } from "../harness/raw-peer.ts";

/** Resolves when something has begun to count, and counts no further. */
export async function unchanging(count: () => number): Promise<void> {
  for (let same = 0, former = count(); same < 5; ) {
    await setTimeout(10);
    await settled();
    same = count() > 0 && count() === former ? same + 1 : 0;
    former = count();
  }
}
