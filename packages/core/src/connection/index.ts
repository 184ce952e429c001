export { acceptedConnection, Connection, type ConnectionListener } from "./connection.ts";
export { Deadline } from "./deadline.ts";
export { turnTime } from "./turn-time.ts";
