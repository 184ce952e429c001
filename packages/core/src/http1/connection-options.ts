/**
 * Whether a `Connection` value names an option (RFC 9110, 7.6.1): `close`, `keep-alive` or `upgrade`. Nearly always the
 * option is the whole value.
 */
export function namesOption(value: string, option: "close" | "keep-alive" | "upgrade"): boolean {
  return value === option || PATTERNS[option].test(value);
}

const PATTERNS = {
  close: /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i,
  "keep-alive": /(?:^|,)[ \t]*keep-alive[ \t]*(?:,|$)/i,
  upgrade: /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i,
};

/** Whether the sender of a message keeps the connection open behind it (RFC 9112, 9.3). */
export function keepsAlive(version: string, connection: string | undefined): boolean {
  if (connection === undefined) return version === "1.1";
  if (connection === "keep-alive") return true;
  if (namesOption(connection, "close")) return false;
  return version === "1.1" || namesOption(connection, "keep-alive");
}
