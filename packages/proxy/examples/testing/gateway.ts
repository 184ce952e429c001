import { HttpPeer } from "@cirque/core";
import type { ProxyHttp } from "@cirque/proxy";

const origins = [new HttpPeer("10.0.0.1:80"), new HttpPeer("10.0.0.2:80")] as const;

/** Lets nobody in without a key, and asks the second origin when the first is down. */
export const gateway: ProxyHttp = {
  requestFilter(session) {
    return session.request.headers.has("x-key") ? undefined : new Response("a key, please\n", { status: 401 });
  },
  upstreamPeer: (session) => (session.attempts === 1 ? origins[0] : origins[1]),
  upstreamRequestFilter(_session, request) {
    request.headers.delete("x-key");
  },
};
