export { type AcceptedConnection, describeAccepted } from "./accepted-connection.ts";
export type * from "./bind-options.ts";
export type * from "./endpoint.ts";
