import { HttpPeer } from "@cirque/core";
import { bodyLimits, type HttpProxyOptions, type ProxyHttp } from "@cirque/proxy";

const limits = bodyLimits({ requestBytes: 10_000, responseBytes: 10_000_000 });

export const options: HttpProxyOptions = { modules: [limits] };

export const callbacks: ProxyHttp = {
  earlyRequestFilter(session) {
    if (session.request.path.startsWith("/uploads/")) session.module(limits).requestBytes = 1_000_000;
  },
  upstreamPeer: () => new HttpPeer(process.env.ORIGIN ?? "127.0.0.1:9001"),
};
