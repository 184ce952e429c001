import { HttpPeer, Server } from "@cirque/core";
import { httpProxyService, type ProxyHttp } from "@cirque/proxy";

interface Ctx {
  readonly id: string;
}

const origin = new HttpPeer(process.env["ORIGIN"] ?? "127.0.0.1:9001");

/** Lets nobody in without a key, gives each request a name, and says who answered. */
const gateway: ProxyHttp<Ctx> = {
  newCtx: () => ({ id: crypto.randomUUID() }),
  requestFilter(session) {
    return session.request.headers.has("x-key") ? undefined : new Response("a key, please\n", { status: 401 });
  },
  upstreamPeer: () => origin,
  upstreamRequestFilter(_session, request, ctx) {
    request.headers.delete("x-key");
    request.headers.set("x-request-id", ctx.id);
  },
  responseFilter(_session, response, ctx) {
    response.headers.set("x-request-id", ctx.id);
  },
  logging(session, error, ctx) {
    console.log(ctx.id, session.request.method, session.request.path, session.response?.status ?? error?.code);
  },
};

const server = new Server();
const service = httpProxyService(server.configuration, gateway);
service.addTcp(process.env["LISTEN"] ?? "127.0.0.1:6188");
server.addService(service);
server.watchExecutionPhase((phase) => {
  if (phase === "Running") console.log("listening on", ...service.addresses());
});
await server.runForever();
