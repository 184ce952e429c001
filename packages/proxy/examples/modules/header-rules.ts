import { type HttpProxyOptions, headerRules } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [
    headerRules({
      request: { remove: ["x-internal-*"], set: { "x-path": (session) => session.request.path } },
      response: { remove: ["server"], setDefault: { "x-content-type-options": "nosniff" } },
    }),
  ],
};
