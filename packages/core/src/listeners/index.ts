export type * from "./bind-options.ts";
export type * from "./endpoint.ts";
