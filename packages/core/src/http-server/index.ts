export { type FetchHandler, type FetchServiceOptions, fetchService } from "./fetch-service.ts";
export { HttpServer, type HttpServerApp } from "./http-server.ts";
export type { HttpServerOptions } from "./http-server-options.ts";
export { isResponse, writeResponse } from "./write-response.ts";
