export type * from "./server-configuration.ts";
