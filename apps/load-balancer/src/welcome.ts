import type { Server, Service } from "@cirque/core";
import type { Origins } from "./origins.ts";

/** What the program is made of. */
export interface Parts {
  readonly proxy: Service;
  readonly metrics: Service;
  readonly origins: Origins;
}

/** What a person can try. */
export function welcome(server: Server, { proxy, metrics, origins: { list, control } }: Parts): string {
  const address = addressOf(server, proxy);
  return `
The load balancer listens on http://${address}, in front of
${list.map(({ name, address }) => `  ${address.padEnd(16)} origin ${name}`).join("\n")}
  ${"127.0.0.1:343".padEnd(16)} nobody: the health check leaves it out

Try this in another terminal:
  curl -i ${address}
      again and again: the origins take turns
  curl -X POST ${control.address}/two/stop
      origin two dies, and within a second the health check sees it
  curl -X POST ${control.address}/two/start
      origin two returns
  curl ${addressOf(server, metrics)}/metrics
      what is counted

Ctrl+C stops it.
`;
}

/** Where a service listens, in whichever thread. */
function addressOf(server: Server, { name }: Service): string | undefined {
  return server.listeningSockets.find(({ service }) => service === name)?.boundAddress;
}
