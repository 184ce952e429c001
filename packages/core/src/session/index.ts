export type { BodySink, BodySource } from "./body.ts";
export type { ClientSession, ClientSessionObserver } from "./client-session.ts";
export type { ServerSession, ServerSessionObserver } from "./server-session.ts";
