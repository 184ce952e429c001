import { describe, expect, it } from "vitest";
import type { Service } from "./service.ts";
import { ServiceRegistry } from "./service-registry.ts";

describe("ServiceRegistry", () => {
  it("orders services by dependency, and else as they were added", () => {
    const registry = new ServiceRegistry();
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => registry.add(service(name)));
    a?.addDependencies([d, c].filter((handle) => handle !== undefined));
    c?.addDependency(required(d));
    expect(b?.name).toBe("b");
    expect(registry.inStartOrder().map(({ name }) => name)).toEqual(["d", "c", "a", "b"]);
  });

  it("refuses a dependency that closes a circle, and keeps the others", () => {
    const registry = new ServiceRegistry();
    const a = registry.add(service("a"));
    const b = registry.add(service("b"));
    const c = registry.add(service("c"));
    a.addDependency(b);
    b.addDependency(c);
    expect(() => c.addDependency(a)).toThrow("services cannot depend on each other in a circle: c -> a -> b -> c");
    expect(() => a.addDependency(a)).toThrow("in a circle: a -> a");
    expect(registry.inStartOrder().map(({ name }) => name)).toEqual(["c", "b", "a"]);
  });

  it("finds no circle in a net of many paths, quickly", () => {
    const registry = new ServiceRegistry();
    let layer = [registry.add(service("0a")), registry.add(service("0b"))];
    for (let depth = 1; depth < 40; depth++) {
      layer = ["a", "b"].map((side) => registry.add(service(`${depth}${side}`)).addDependencies(layer));
    }
    expect(registry.inStartOrder()).toHaveLength(80);
  });

  it("refuses a service that was added before, and a handle of another server", () => {
    const registry = new ServiceRegistry();
    const twice = service("twice");
    const handle = registry.add(twice);
    expect(() => registry.add(twice)).toThrow('the service "twice" was added before');
    const foreign = new ServiceRegistry().add(service("foreign"));
    expect(() => handle.addDependency(foreign)).toThrow('the service "foreign" belongs to another server');
  });

  it("takes no dependency of a service that was started", () => {
    const registry = new ServiceRegistry();
    const a = registry.add(service("a"));
    const b = registry.add(service("b"));
    registry.markStarted(a);
    expect(() => a.addDependency(b)).toThrow('"a" runs: what it depends on has to be said before');
    expect(b.addDependency(a).dependencies).toEqual(new Set([a]));
  });

  it("gives each service a key of its own, also when names are the same", () => {
    const registry = new ServiceRegistry();
    const keys = ["echo", "echo", "echo"].map((name) => registry.add(service(name)).key);
    expect(keys).toEqual(["echo", "echo 2", "echo 3"]);
  });

  it("removes a service, unless another one depends on it", () => {
    const registry = new ServiceRegistry();
    const a = registry.add(service("a"));
    const b = registry.add(service("b")).addDependency(a);
    expect(() => registry.remove(a)).toThrow('"b" depends on "a"; stop it first');
    registry.remove(b);
    registry.remove(a);
    expect(registry.inStartOrder()).toEqual([]);
    expect(() => registry.remove(a)).toThrow('the service "a" belongs to another server');
  });
});

function service(name: string): Service {
  return { name, start: async () => {}, stop: async () => {} };
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("missing");
  return value;
}
