import { CirqueError } from "../errors/cirque-error.ts";
import type { Service } from "./service.ts";

/** A service that was added to a server, to declare what it needs (`SVC-03`). */
export class ServiceHandle {
  readonly service: Service;
  readonly #dependencies = new Set<ServiceHandle>();
  readonly #check: (handle: ServiceHandle) => void;

  /** @param check Throws when the server of this handle takes no more dependencies, or not on the handle given. */
  constructor(service: Service, check: (handle: ServiceHandle) => void) {
    this.service = service;
    this.#check = check;
  }

  get name(): string {
    return this.service.name;
  }

  get dependencies(): ReadonlySet<ServiceHandle> {
    return this.#dependencies;
  }

  /**
   * Starts this service only when the other one is ready (`SVC-04`), and stops it before the other one.
   *
   * @throws CirqueError `InvalidArgument` when the other one needs this one already, or belongs to another server, or
   * the server runs.
   */
  addDependency(other: ServiceHandle): this {
    this.#check(other);
    const path = pathBetween(other, this);
    if (path) {
      const circle = [this, ...path].map(({ name }) => name).join(" -> ");
      throw new CirqueError("InvalidArgument", `services cannot depend on each other in a circle: ${circle}`);
    }
    this.#dependencies.add(other);
    return this;
  }

  /** {@link addDependency} for each of them. */
  addDependencies(others: Iterable<ServiceHandle>): this {
    for (const other of others) this.addDependency(other);
    return this;
  }
}

function pathBetween(
  from: ServiceHandle,
  to: ServiceHandle,
  seen: Set<ServiceHandle> = new Set(),
): readonly ServiceHandle[] | undefined {
  if (from === to) return [to];
  if (seen.has(from)) return undefined;
  seen.add(from);
  for (const next of from.dependencies) {
    const rest = pathBetween(next, to, seen);
    if (rest) return [from, ...rest];
  }
  return undefined;
}
