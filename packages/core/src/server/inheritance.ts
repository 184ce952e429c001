import { closeSync } from "node:fs";
import type { ServiceSocket } from "../threads/listening-sockets.ts";
import { firstInheritedDescriptor } from "./launch.ts";

/** Lists the addresses of inherited sockets, and how many there are of each, in the order of the descriptors. */
const inheritanceVariable = "CIRQUE_INHERITED_SOCKETS";

/** What a process gives to its successor. */
export interface Inheritance {
  readonly descriptors: readonly number[];
  readonly env: Readonly<Record<string, string>>;
}

type Described = Omit<ServiceSocket, "descriptor"> & { readonly count: number };

/** Sockets in the form that {@link takeInheritance} reads in the successor. */
export function inheritanceOf(sockets: readonly ServiceSocket[]): Inheritance {
  // By address, since a variable of the environment has a bounded size, and there may be many threads.
  const groups = Object.values(
    Object.groupBy(sockets, ({ service, kind, address }) => JSON.stringify([service, kind, address])),
  ).map((group) => group ?? []);
  const described = groups.flatMap((group): Described[] => {
    const [first] = group;
    if (!first) return [];
    const { service, kind, address, boundAddress } = first;
    return [{ service, kind, address, boundAddress, count: group.length }];
  });
  return {
    descriptors: groups.flat().map(({ descriptor }) => descriptor),
    env: { [inheritanceVariable]: JSON.stringify(described) },
  };
}

/** The sockets that this process inherits from the one before it. Asking a second time gives none. */
export function takeInheritance(): ServiceSocket[] {
  const text = process.env[inheritanceVariable];
  delete process.env[inheritanceVariable];
  if (text === undefined) return [];
  // A process of this program wrote it.
  const described = JSON.parse(text) as readonly Described[];
  let descriptor = firstInheritedDescriptor;
  return described.flatMap(({ count, ...socket }) => {
    return Array.from({ length: count }, () => ({ ...socket, descriptor: descriptor++ }));
  });
}

/** Closes inherited sockets that nothing listens on any more: connections would wait there for nobody. */
export function closeInherited(sockets: readonly ServiceSocket[]): void {
  for (const { descriptor } of sockets) {
    try {
      closeSync(descriptor);
    } catch {
      // It was not open: there is nothing left to do for it.
    }
  }
}
