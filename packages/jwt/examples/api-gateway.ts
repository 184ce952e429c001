import { HttpPeer, Server } from "@cirque/core";
import { jwtAuthentication } from "@cirque/jwt";
import { httpProxyService, type ProxyHttp } from "@cirque/proxy";

const issuer = process.env.ISSUER ?? "http://127.0.0.1:9002";
const origin = new HttpPeer(process.env.ORIGIN ?? "127.0.0.1:9001");

/** Only administrators may delete. The origin learns who asks. */
const jwt = jwtAuthentication({
  keys: { jwksUrl: `${issuer}/keys` },
  issuer,
  audience: "api",
  claimsToHeaders: { sub: "x-user" },
  allow: (claims, session) => session.request.method !== "DELETE" || claims.role === "administrator",
});

const gateway: ProxyHttp = {
  upstreamPeer: () => origin,
  logging(session) {
    const { request, response } = session;
    console.log(session.module(jwt).claims?.sub ?? "nobody", request.method, request.path, response?.status);
  },
};

const server = new Server();
const service = httpProxyService(server.configuration, gateway, { modules: [jwt] });
service.addTcp(process.env.LISTEN ?? "127.0.0.1:6188");
server.addService(service);
server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log("listening on", ...service.addresses());
});
await server.runForever();
