import type { ListeningService } from "@cirque/core";
import type { Origins } from "./origins.ts";

/** What a person can try. */
export function welcome(proxy: ListeningService, metrics: ListeningService, { list, control }: Origins): string {
  const [address] = proxy.addresses();
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
  curl ${metrics.addresses()[0]}/metrics
      what is counted

Ctrl+C stops it.
`;
}
