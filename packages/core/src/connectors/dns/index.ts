export { AutomaticResolver, type AutomaticResolverOptions } from "./automatic-resolver.ts";
export { DnsCache, type DnsCacheOptions, sharedDnsCache } from "./dns-cache.ts";
export { NameServerResolver, type NameServerResolverOptions } from "./name-server-resolver.ts";
export type { ResolvedAddress, ResolvedName, Resolver } from "./resolver.ts";
export { SystemResolver, type SystemResolverOptions } from "./system-resolver.ts";
