export type * from "./listening-sockets.ts";
export { singleThread } from "./single-thread.ts";
export type * from "./thread-context.ts";
