import { forwardingHeaders, type HttpProxyOptions } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [forwardingHeaders({ forwarded: true, trustedProxies: ["10.0.0.0/8"], via: "edge-1" })],
};
