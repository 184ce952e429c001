/**
 * Why `node:http2` gave a connection up, as a name for logs and metrics (promise P13); undefined when nobody broke a
 * rule: the connection was lost, or the client said that it has had enough.
 */
export function sessionErrorReason(error: Error): string | undefined {
  const { code, errno } = error as NodeJS.ErrnoException;
  if (code === "ERR_HTTP2_TOO_MANY_INVALID_FRAMES") return "too-many-invalid-frames";
  if (code !== "ERR_HTTP2_ERROR") return undefined;
  if (errno === BAD_CLIENT_MAGIC) return "invalid-preface";
  return errno === FLOODED ? "control-flood" : "protocol-error";
}

/** Error codes of nghttp2. */
const BAD_CLIENT_MAGIC = -903;
const FLOODED = -904;
