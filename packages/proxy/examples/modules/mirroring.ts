import { HttpPeer } from "@cirque/core";
import { type HttpProxyOptions, mirror } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [
    mirror({
      peer: new HttpPeer(process.env.SHADOW ?? "127.0.0.1:9009"),
      percentage: 100,
      when: (session) => session.request.path.startsWith("/api/"),
      change(copy) {
        copy.headers.delete("authorization");
        copy.headers.set("x-mirrored", "1");
      },
    }),
  ],
};
