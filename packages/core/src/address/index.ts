export * from "./socket-address.ts";
