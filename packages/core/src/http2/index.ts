export { Http2ClientConnection, type Http2ClientOptions } from "./client-connection.ts";
export { Http2ClientSession } from "./client-session.ts";
export { Http2ServerConnection, type Http2ServerHandler } from "./server-connection.ts";
export {
  type Http2ServerOptions,
  type ResolvedHttp2ServerOptions,
  resolveHttp2ServerOptions,
} from "./server-options.ts";
