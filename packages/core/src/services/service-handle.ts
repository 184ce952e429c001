import { CirqueError } from "../errors/cirque-error.ts";
import type { Service } from "./service.ts";

/** A service that was added to a server, to declare what it needs (`SVC-03`). */
export class ServiceHandle {
  readonly service: Service;
  /** Tells the service from the others of its server; the same in all threads: `echo`, and `echo 2` for a second one. */
  readonly key: string;
  readonly #ready = Promise.withResolvers<void>();
  readonly #dependencies = new Set<ServiceHandle>();
  readonly #check: (dependent: ServiceHandle, other: ServiceHandle) => void;

  /** @param check Throws when the first handle takes no more dependencies, or not on the second one. */
  constructor(service: Service, key: string, check: (dependent: ServiceHandle, other: ServiceHandle) => void) {
    this.service = service;
    this.key = key;
    this.#check = check;
    this.#ready.promise.catch(() => {}); // also when nobody asks
  }

  /**
   * For a service that is added while the server runs: resolves when it is ready, and rejects when it could not start.
   * For the others, the run of the server tells.
   */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Called by the server. */
  settle(started: Promise<void>): void {
    started.then(this.#ready.resolve, this.#ready.reject);
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
    this.#check(this, other);
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
