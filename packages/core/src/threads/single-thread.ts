import type { ListeningSockets } from "./listening-sockets.ts";
import type { ThreadContext } from "./thread-context.ts";

/** A thread alone, with nothing inherited: for tests, and for services that run without a server. */
export function singleThread(): ThreadContext {
  return { index: 0, dataThreads: 1, sockets: noSockets, publish() {}, onPublished() {} };
}

const noSockets: ListeningSockets = {
  take: () => [],
  resolve: (_kind, address) => address,
  shared: false,
  offer: () => () => {},
};
