export type { HttpModule, HttpModuleFactory, ModuleOptions } from "./http-module.ts";
