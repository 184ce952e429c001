export { AddressList } from "./address-list.ts";
export {
  BasicAuthentication,
  type BasicAuthenticationOptions,
  basicAuthentication,
} from "./basic-authentication/basic-authentication.ts";
export { hashPassword } from "./basic-authentication/password-hash.ts";
export { BodyLimits, type BodyLimitsOptions, bodyLimits } from "./body-limits.ts";
export { isCompressibleType } from "./compression/compressible.ts";
export { CompressionDictionary } from "./compression/compression-dictionary.ts";
export type { CompressionSettings, ResponseCompressionOptions } from "./compression/compression-settings.ts";
export type { ContentCoding, PlainCoding } from "./compression/content-coding.ts";
export {
  RequestDecompression,
  type RequestDecompressionOptions,
  requestDecompression,
} from "./compression/request-decompression.ts";
export { type CompressionInfo, ResponseCompression, responseCompression } from "./compression/response-compression.ts";
export { conditionalRequests } from "./conditional-requests.ts";
export { type CorsOptions, cors } from "./cors.ts";
export {
  type ForwardingOptions,
  forwardedClientAddress,
  forwardingHeaders,
  type ReceivedForwarding,
} from "./forwarding.ts";
export { GrpcWeb, grpcWeb } from "./grpc-web/grpc-web.ts";
export { type HeaderRules, type HeaderRulesOptions, type HeaderRuleValue, headerRules } from "./header-rules.ts";
export type { HttpModule, HttpModuleFactory, ModuleContext, ModuleOptions } from "./http-module.ts";
export { type IpAccessOptions, ipAccess } from "./ip-access.ts";
export { type MirrorModule, type MirrorOptions, mirror } from "./mirror/mirror.ts";
export { type ByteRangesOptions, byteRanges, RangeRequest, type RangeSelection } from "./ranges/byte-ranges.ts";
export type { PathRule } from "./redirects/path-rule.ts";
export { type RedirectRule, redirects, rewrites } from "./redirects/redirects.ts";
