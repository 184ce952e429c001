import { isDeepStrictEqual } from "node:util";
import { Backend } from "./backend.ts";
import type { BackendSet } from "./backends.ts";

/** A set of backends and their health, as one thread tells it to the others. */
export interface BackendsSnapshot {
  readonly backends: readonly { readonly address: string; readonly weight: number; readonly ext?: unknown }[];
  /** By position. */
  readonly healthy: readonly boolean[];
  readonly enabled: readonly boolean[];
}

/** What `structuredClone` can copy of a set: an `ext` that it cannot copy is left out. */
export function takeSnapshot({ backends, health }: BackendSet): BackendsSnapshot {
  return {
    backends: backends.map(({ address, weight, ext }) => ({ address, weight, ...cloneable(ext) })),
    healthy: health.map(({ healthy }) => healthy),
    enabled: health.map(({ enabled }) => enabled),
  };
}

/**
 * The backends of a snapshot. One that the thread knows already, from its own code, is that one: so what could not be
 * copied of it is there as well.
 */
export function backendsOf<Ext>(snapshot: BackendsSnapshot, known: readonly Backend<Ext>[]): Backend<Ext>[] {
  const byAddress = new Map(known.map((backend) => [backend.address, backend]));
  return snapshot.backends.map(({ address, weight, ext }) => {
    const own = byAddress.get(address);
    if (own?.weight === weight && (ext === undefined || isDeepStrictEqual(own.ext, ext))) return own;
    // The thread that took the snapshot had backends with this Ext.
    return new Backend<Ext>(address, { weight, ext: (ext ?? own?.ext) as Ext });
  });
}

function cloneable(ext: unknown): { readonly ext?: unknown } {
  if (ext === undefined) return {};
  try {
    return { ext: structuredClone(ext) };
  } catch {
    return {};
  }
}
