export type * from "./connection-handler.ts";
export type * from "./service.ts";
