export * from "./cirque-error.ts";
export * from "./error-catalogue.ts";
