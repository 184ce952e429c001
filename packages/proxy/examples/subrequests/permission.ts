import { HttpPeer } from "@cirque/core";
import type { ProxyHttp } from "@cirque/proxy";

const users = new HttpPeer(process.env.USERS ?? "127.0.0.1:9002");
const shop = new HttpPeer(process.env.SHOP ?? "127.0.0.1:9001");

/** Asks another origin who is there, before the shop is asked; and tells it, behind the answer, what was sold. */
export const gateway: ProxyHttp = {
  allowSubrequests: (session) => session.parent === undefined,
  async requestFilter(session) {
    if (session.parent !== undefined) return undefined;
    const cookie = session.request.headers.get("cookie") ?? "";
    const answer = await session.subrequest(new Request("http://users.internal/me", { headers: { cookie } }));
    if (answer.status !== 200) return new Response("log in, please\n", { status: 401 });
    session.request.headers.set("x-user", await answer.text());
    return undefined;
  },
  upstreamPeer: (session) => (session.parent === undefined ? shop : users),
  logging(session) {
    if (session.parent === undefined && session.request.method === "POST" && session.response?.status === 200) {
      session.spawnSubrequest(new Request("http://users.internal/purchases", { method: "POST", body: "one more" }));
    }
  },
};
