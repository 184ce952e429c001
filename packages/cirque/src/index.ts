export * from "@cirque/core";
export * from "@cirque/http";
export * from "@cirque/l4";
export * from "@cirque/load-balancing";
export * from "@cirque/proxy";
