export { type ClientTimeouts, Http1ClientSession } from "./client-session.ts";
export { frameInterim, frameRequest, frameResponse, type OutgoingFraming } from "./outgoing-framing.ts";
export { Http1ServerConnection, type Http1ServerHandler, type Refusal } from "./server-connection.ts";
export { type Http1ServerOptions, type ResolvedHttp1ServerOptions, resolveServerOptions } from "./server-options.ts";
