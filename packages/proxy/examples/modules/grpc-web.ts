import { HttpPeer } from "@cirque/core";
import { cors, grpcWeb, type HttpProxyOptions, type ProxyHttp } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [cors({ origins: ["https://app.example"], exposedHeaders: ["grpc-status", "grpc-message"] }), grpcWeb()],
};

export const callbacks: ProxyHttp = {
  upstreamPeer: () => new HttpPeer(process.env.ORIGIN ?? "127.0.0.1:50051", { http: "2" }),
};
