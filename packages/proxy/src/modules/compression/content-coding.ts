/** The content codings that are made and, but for those with a dictionary, undone (RFC 9110, 8.4.1; RFC 9842). */
export type ContentCoding = "gzip" | "br" | "zstd" | "dcb" | "dcz";

/** Codings that need no dictionary. */
export type PlainCoding = "gzip" | "br" | "zstd";

export function isPlainCoding(name: string): name is PlainCoding {
  return name === "gzip" || name === "br" || name === "zstd";
}

/** Whether the coding needs a dictionary that the client has: brotli (`dcb`) or Zstandard (`dcz`) with one (RFC 9842). */
export function isDictionaryCoding(coding: ContentCoding): coding is "dcb" | "dcz" {
  return coding === "dcb" || coding === "dcz";
}

/**
 * The codings of a `Content-Encoding`, in the order in which they were applied; none for a missing field. Names are in
 * lower case, `x-gzip` is `gzip`, and `identity`, which should not be there, is left out.
 */
export function contentCodings(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  return value
    .split(",")
    .map((name) => canonicalCoding(name.trim().toLowerCase()))
    .filter((name) => name !== "" && name !== "identity");
}

/** The name of a coding, given in lower case, without its old alias (RFC 9110, 8.4.1.3). */
export function canonicalCoding(name: string): string {
  return name === "x-gzip" ? "gzip" : name;
}
