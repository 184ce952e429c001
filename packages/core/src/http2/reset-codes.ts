import { constants } from "node:http2";
import { CirqueError } from "../errors/cirque-error.ts";

/**
 * The code to reset a stream with, when its exchange failed with `error` (RFC 9113, 7). A code that the other side of a
 * proxy sent, `context.http2Code`, goes on where it means the same here: gRPC reads it.
 */
export function resetCodeOf(error: CirqueError | undefined): number {
  const code = error?.context.http2Code;
  if (typeof code === "number" && PASSED_ON.has(code)) return code;
  return constants.NGHTTP2_INTERNAL_ERROR;
}

/** The error of a stream that the client reset, or whose connection is gone. */
export function clientGone(code: number, cause: unknown): CirqueError {
  const options = { context: { http2Code: code }, ...(cause !== undefined && { cause }) };
  return isViolation(code)
    ? CirqueError.downstream("H2Error", `the stream was cut: ${nameOf(code)}`, options)
    : CirqueError.downstream("ConnectionClosed", `the client gave the request up: ${nameOf(code)}`, options);
}

/** The name of an error code, as RFC 9113, 7 has it. */
export function nameOf(code: number): string {
  return NAMES[code] ?? `code ${code}`;
}

const PASSED_ON: ReadonlySet<number> = new Set([
  constants.NGHTTP2_REFUSED_STREAM,
  constants.NGHTTP2_CANCEL,
  constants.NGHTTP2_ENHANCE_YOUR_CALM,
  constants.NGHTTP2_INADEQUATE_SECURITY,
]);

const NAMES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const;

function isViolation(code: number): boolean {
  return (
    code === constants.NGHTTP2_PROTOCOL_ERROR ||
    code === constants.NGHTTP2_FLOW_CONTROL_ERROR ||
    code === constants.NGHTTP2_STREAM_CLOSED ||
    code === constants.NGHTTP2_FRAME_SIZE_ERROR ||
    code === constants.NGHTTP2_COMPRESSION_ERROR
  );
}
