export { type ByteRange, parseByteRanges } from "./byte-ranges.ts";
export { isFieldValue, isToken } from "./characters.ts";
export { evaluatePreconditions, ifRangeHolds, type Precondition } from "./conditional.ts";
export { httpDate } from "./date.ts";
export { matchStrongly, matchWeakly, parseEntityTags } from "./entity-tag.ts";
export { Field } from "./field.ts";
export { type HeaderInit, HeaderMap, usualSpelling } from "./header-map.ts";
export { stripHopByHop } from "./hop-by-hop.ts";
export { isAuthority } from "./http1/authority.ts";
export {
  type BodyLength,
  CHUNKED,
  parseContentLength,
  requestBodyLength,
  responseBodyLength,
  UNTIL_CLOSE,
} from "./http1/framing.ts";
export { DEFAULT_LIMITS, type ParserLimits } from "./http1/limits.ts";
export { MalformedMessage, REFUSAL_REASONS, type RefusalReason } from "./http1/malformed-message.ts";
export { MessageParser, ParseEvent } from "./http1/message-parser.ts";
export { RequestParser } from "./http1/request-parser.ts";
export { ResponseParser } from "./http1/response-parser.ts";
export { chunkSizeLine, lastChunk, serializeRequestHead, serializeResponseHead } from "./http1/serialize.ts";
export { isTrailerField } from "./http1/trailers.ts";
export { parseHttpDate } from "./parse-http-date.ts";
export { type HttpVersion, RequestHead } from "./request-head.ts";
export { ResponseHead } from "./response-head.ts";
export { reasonPhrase } from "./status.ts";
