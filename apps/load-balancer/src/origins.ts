import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Service } from "@cirque/core";
import { Origin } from "./origin.ts";
import { OriginControl } from "./origin-control.ts";

const names = ["one", "two", "three"] as const;

/** Three origins on the loopback interface, and the address where they are stopped and started, as a service. */
export class Origins implements Service {
  /**
   * Finds a port for each: the control gets `firstPort` and the origins the next ones, or whatever is free where one is
   * taken or `firstPort` is 0. Nothing listens until the service starts.
   */
  static async choosePorts(firstPort: number): Promise<Origins> {
    const preferred = [firstPort, ...names.map((_name, index) => (firstPort === 0 ? 0 : firstPort + 1 + index))];
    const [controlPort = 0, ...ports] = await freePorts(preferred);
    const origins = names.map((name, index) => new Origin(name, ports[index] ?? 0));
    return new Origins(origins, new OriginControl(controlPort, origins));
  }

  readonly name = "origins";
  readonly list: readonly Origin[];
  readonly control: OriginControl;

  constructor(list: readonly Origin[], control: OriginControl) {
    this.list = list;
    this.control = control;
  }

  get addresses(): readonly string[] {
    return this.list.map(({ address }) => address);
  }

  async start(): Promise<void> {
    await Promise.all([this.control, ...this.list].map((each) => each.start()));
  }

  async stop(): Promise<void> {
    await Promise.all([this.control, ...this.list].map((each) => each.stop()));
  }
}

/** Holds each port until all are found, so that no two are the same. */
async function freePorts(preferred: readonly number[]): Promise<number[]> {
  const held: Server[] = [];
  for (const port of preferred) held.push(await hold(port).catch(() => hold(0)));
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => once(server.close(), "close")));
  return ports;
}

async function hold(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}
