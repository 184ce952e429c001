import { byteRanges, conditionalRequests, type HttpProxyOptions } from "@cirque/proxy";

export const options: HttpProxyOptions = { modules: [conditionalRequests(), byteRanges()] };
