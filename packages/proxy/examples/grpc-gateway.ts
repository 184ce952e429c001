import { HttpPeer, Server } from "@cirque/core";
import { httpProxyService, type ProxyHttp } from "@cirque/proxy";

// Without TLS, an origin is known to speak HTTP/2: nothing is negotiated. Over TLS, "2-or-1" lets it choose.
const origin = new HttpPeer(process.env["ORIGIN"] ?? "127.0.0.1:50051", { http: "2", readTimeoutMs: 3_600_000 });

const gateway: ProxyHttp = {
  requestFilter(session) {
    // A gRPC client wants its errors as gRPC: status 200, and the code in a field.
    if (session.request.headers.has("authorization")) return undefined;
    const headers = { "content-type": "application/grpc", "grpc-status": "16", "grpc-message": "a token, please" };
    return new Response(null, { headers });
  },
  upstreamPeer: () => origin,
};

const server = new Server();
const service = httpProxyService(server.configuration, gateway, { server: { bodyTimeoutMs: 3_600_000 } });
service.addTcp(process.env["LISTEN"] ?? "127.0.0.1:6188");
server.addService(service);
server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log("listening on", ...service.addresses());
});
await server.runForever();
