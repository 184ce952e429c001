/** A process that inherits the descriptor 3 and proxies its datagrams: `node inheriting-udp-proxy.ts UPSTREAM`. */
import { TestUdpProxy, threadSockets } from "./test-udp-proxy.ts";

const [upstream = ""] = process.argv.slice(2);
const proxy = await TestUdpProxy.start(
  { upstreamPeer: () => ({ address: upstream }) },
  {},
  { sockets: threadSockets([3]) },
);
process.send?.({ address: proxy.address });
process.on("disconnect", () => process.exit());
