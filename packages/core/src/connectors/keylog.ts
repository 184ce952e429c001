import { createWriteStream } from "node:fs";
import type { Logger } from "../observability/logger.ts";

/**
 * Writes TLS secrets of connections to origins to the file that the environment variable `SSLKEYLOGFILE` names, for
 * Wireshark and its like (CFG-20). Whoever reads the file can read the traffic.
 *
 * @returns What `ConnectOptions.onKeylog` takes; undefined when the variable is not set.
 */
export function keylogWriter(logger: Logger): ((line: Buffer) => void) | undefined {
  const file = process.env.SSLKEYLOGFILE;
  if (file === undefined || file === "") {
    logger.warn("upstreamDebugSslKeylog is set, but the environment variable SSLKEYLOGFILE names no file");
    return undefined;
  }
  const stream = createWriteStream(file, { flags: "a", mode: 0o600 });
  stream.on("error", (error) => logger.error({ err: error, file }, "TLS secrets cannot be written"));
  logger.warn({ file }, "TLS secrets of connections to origins are written to a file: use this for debugging only");
  return (line) => {
    if (!stream.errored) stream.write(line);
  };
}
