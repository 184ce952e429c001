import { HttpPeer } from "@cirque/core";
import type { RequestHead, ResponseHead } from "@cirque/http";
import type { HttpModule, HttpModuleFactory, HttpProxyOptions, ProxyHttp, Session } from "@cirque/proxy";

/** Gives each request a name, which origin and client are told. */
class RequestName implements HttpModule {
  prefix = "r";
  readonly name: string = crypto.randomUUID();

  requestFilter(_session: Session, request: RequestHead): void {
    request.headers.set("x-request-id", `${this.prefix}-${this.name}`);
  }

  responseFilter(session: Session, response: ResponseHead): void {
    response.headers.set("x-request-id", session.request.headers.get("x-request-id") ?? "");
  }
}

const requestNames: HttpModuleFactory<RequestName> = { name: "request names", create: () => new RequestName() };

export const options: HttpProxyOptions = { modules: [requestNames] };

export const callbacks: ProxyHttp = {
  earlyRequestFilter(session) {
    if (session.request.path.startsWith("/api/")) session.module(requestNames).prefix = "api";
  },
  upstreamPeer: () => new HttpPeer(process.env.ORIGIN ?? "127.0.0.1:9001"),
};
