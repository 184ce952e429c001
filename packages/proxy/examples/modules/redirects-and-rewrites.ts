import { type HttpProxyOptions, redirects, rewrites } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [
    redirects([
      { from: "/blog/*", to: "https://blog.example/*" },
      { from: /^\/item-(\d+)$/, to: "/items/$1", status: 302 },
    ]),
    rewrites([{ from: "/api/*", to: "/v1/*" }]),
  ],
};
