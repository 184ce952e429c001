/**
 * Whether bodies of this type usually get smaller (CMP-06): text, applications' data, fonts and the few images that are
 * not compressed in themselves. Archives, and formats that are compressed inside, are not.
 * @param mediaType Type and subtype in lower case, without parameters.
 */
export function isCompressibleType(mediaType: string): boolean {
  if (COMPRESSED_INSIDE.test(mediaType)) return false;
  return /^(?:text|application|font)\//.test(mediaType) || IMAGES.has(mediaType) || mediaType === "binary/octet-stream";
}

/** Whether each piece of such a body is meant to arrive at once, and not when a block is full (CMP-14). */
export function isEventStream(mediaType: string): boolean {
  return EVENTS.has(mediaType);
}

/** Type and subtype of a `Content-Type`, in lower case, without parameters; empty for none. */
export function mediaTypeOf(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const end = contentType.indexOf(";");
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** `zip` as the reference has it, and what else gains nothing. gRPC compresses its messages itself. */
const COMPRESSED_INSIDE =
  /zip|zstd|^application\/(?:grpc|x-7z|x-rar|vnd\.rar|x-xz|x-lz|java-archive|vnd\.openxmlformats|vnd\.oasis\.opendocument)|woff/;

const IMAGES: ReadonlySet<string> = new Set([
  "image/svg+xml",
  "image/x-icon",
  "image/vnd.microsoft.icon",
  "image/nd.microsoft.icon",
  "image/bmp",
]);

const EVENTS: ReadonlySet<string> = new Set([
  "text/event-stream",
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/json-seq",
  "application/stream+json",
  "multipart/x-mixed-replace",
]);
