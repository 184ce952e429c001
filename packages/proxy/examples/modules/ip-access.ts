import { type HttpProxyOptions, ipAccess } from "@cirque/proxy";

export const options: HttpProxyOptions = {
  modules: [ipAccess({ allow: ["127.0.0.0/8", "2001:db8::/32"], deny: ["127.6.6.6"] })],
};
