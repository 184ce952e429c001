import type { Logger } from "../../observability/logger.ts";
import type { ServiceHandle } from "../../services/service-handle.ts";
import type { ServiceSocket } from "../../threads/listening-sockets.ts";
import { socketsForAddress } from "./matches-address.ts";
import { socketsFromSystemd } from "./sockets-from-systemd.ts";

/**
 * The sockets that systemd has bound for this process, each for the address of a service that it fits. One that fits none
 * is left alone, with a warning: nobody would answer there.
 */
export function activatedSockets(services: readonly ServiceHandle[], logger: Logger): ServiceSocket[] {
  let sockets = socketsFromSystemd(process.env, process.pid, logger);
  const endpoints = services.flatMap(({ key, service }) => {
    return (service.endpoints?.() ?? []).map(({ kind, address }) => ({ key, kind, address }));
  });
  const found = endpoints.flatMap(({ key, kind, address }) => {
    const fitting = socketsForAddress(sockets, kind, address);
    sockets = sockets.filter((socket) => !fitting.includes(socket));
    return fitting.map(({ boundAddress, descriptor }) => ({ service: key, kind, address, boundAddress, descriptor }));
  });
  for (const { name, boundAddress } of sockets) {
    logger.warn({ socket: name, address: boundAddress }, "systemd passes a socket that no service listens on");
  }
  return found;
}
