import { CirqueError } from "../errors/cirque-error.ts";
import type { Service } from "./service.ts";
import { ServiceHandle } from "./service-handle.ts";

/** The services of one server. */
export class ServiceRegistry {
  readonly #handles: ServiceHandle[] = [];
  /** Those whose dependencies are settled, because they were started. */
  readonly #started = new WeakSet<ServiceHandle>();

  /** @throws CirqueError `InvalidArgument` when it was added before. */
  add(service: Service): ServiceHandle {
    if (this.#handles.some((handle) => handle.service === service)) {
      throw new CirqueError("InvalidArgument", `the service "${service.name}" was added before`);
    }
    const handle = new ServiceHandle(service, this.#keyFor(service.name), (dependent, other) => {
      this.#assertOwn(other);
      if (!this.#started.has(dependent)) return;
      throw new CirqueError("InvalidArgument", `"${dependent.name}" runs: what it depends on has to be said before`);
    });
    this.#handles.push(handle);
    return handle;
  }

  /** @throws CirqueError `InvalidArgument` when it is not one of these services, or others depend on it. */
  remove(handle: ServiceHandle): void {
    this.#assertOwn(handle);
    const dependent = this.#handles.find(({ dependencies }) => dependencies.has(handle));
    if (dependent) {
      throw new CirqueError("InvalidArgument", `"${dependent.name}" depends on "${handle.name}"; stop it first`);
    }
    this.#handles.splice(this.#handles.indexOf(handle), 1);
  }

  has(handle: ServiceHandle): boolean {
    return this.#handles.includes(handle);
  }

  /** From here on, the service takes no more dependencies. */
  markStarted(handle: ServiceHandle): void {
    this.#started.add(handle);
  }

  /** Each service after those that it depends on, and otherwise in the order in which they were added (`SRV-13`). */
  inStartOrder(): readonly ServiceHandle[] {
    const ordered = new Set<ServiceHandle>();
    const visit = (handle: ServiceHandle): void => {
      if (ordered.has(handle)) return;
      for (const dependency of handle.dependencies) visit(dependency);
      ordered.add(handle);
    };
    for (const handle of this.#handles) visit(handle);
    return [...ordered];
  }

  #keyFor(name: string): string {
    const taken = new Set(this.#handles.map(({ key }) => key));
    if (!taken.has(name)) return name;
    let number = 2;
    while (taken.has(`${name} ${number}`)) number++;
    return `${name} ${number}`;
  }

  #assertOwn(handle: ServiceHandle): void {
    if (this.#handles.includes(handle)) return;
    throw new CirqueError("InvalidArgument", `the service "${handle.name}" belongs to another server`);
  }
}
