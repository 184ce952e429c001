import { cors, type HttpProxyOptions } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [cors({ origins: ["https://app.example"], credentials: true, exposedHeaders: ["x-total"] })],
};
