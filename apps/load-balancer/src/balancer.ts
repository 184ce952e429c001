import { HttpPeer } from "@cirque/core";
import type { RequestHead } from "@cirque/http";
import type { LoadBalancer } from "@cirque/load-balancing";
import type { ProxyHttp, Session } from "@cirque/proxy";

/** Sends each request to a healthy origin. */
export class Balancer implements ProxyHttp {
  readonly #upstreams: LoadBalancer;

  constructor(upstreams: LoadBalancer) {
    this.#upstreams = upstreams;
  }

  upstreamPeer(): HttpPeer | Response {
    const backend = this.#upstreams.select();
    if (!backend) return new Response("no healthy upstream\n", { status: 503 });
    return new HttpPeer(backend.address);
  }

  upstreamRequestFilter(_session: Session, request: RequestHead): void {
    request.headers.set("host", "origin.example");
  }
}
