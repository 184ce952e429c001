export * from "@cirque/core";
export * from "@cirque/http";
export * from "@cirque/load-balancing";
export * from "@cirque/proxy";
