import { SocketTable } from "./socket-table.ts";
import type { ThreadContext } from "./thread-context.ts";

/** A thread alone, with nothing inherited: for tests, and for services that run without a server. */
export function singleThread(): ThreadContext {
  return {
    index: 0,
    dataThreads: 1,
    sockets: new SocketTable({ shared: false }).forService("service"),
    publish() {},
    onPublished() {},
  };
}
