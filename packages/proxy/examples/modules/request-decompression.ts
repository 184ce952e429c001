import { type HttpProxyOptions, requestDecompression } from "@cirque/proxy";

export const options: HttpProxyOptions = { modules: [requestDecompression({ maxBytes: 1024 * 1024 })] };
