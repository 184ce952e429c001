import { CirqueError } from "../errors/cirque-error.ts";
import type { Service } from "./service.ts";
import { ServiceHandle } from "./service-handle.ts";

/** The services of one server. */
export class ServiceRegistry {
  readonly #handles: ServiceHandle[] = [];
  #sealed = false;

  add(service: Service): ServiceHandle {
    this.#assertOpen();
    if (this.#handles.some((handle) => handle.service === service)) {
      throw new CirqueError("InvalidArgument", `the service "${service.name}" was added before`);
    }
    const handle = new ServiceHandle(service, (other) => {
      this.#assertOpen();
      if (this.#handles.includes(other)) return;
      throw new CirqueError("InvalidArgument", `the service "${other.name}" belongs to another server`);
    });
    this.#handles.push(handle);
    return handle;
  }

  /** From here on nothing can be added. */
  seal(): void {
    this.#sealed = true;
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

  #assertOpen(): void {
    if (this.#sealed) {
      throw new CirqueError(
        "InvalidArgument",
        "services and their dependencies have to be added before the server runs",
      );
    }
  }
}
