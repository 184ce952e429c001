/**
 * A claim as the value of a field: texts, numbers and booleans as they are, lists of them with commas, anything else as
 * JSON. What is not printable ASCII, and `%`, is percent-encoded; so are commas inside of lists. Undefined for no claim.
 */
export function claimHeader(claim: unknown): string | undefined {
  if (claim === undefined || claim === null) return undefined;
  if (Array.isArray(claim) && claim.every(isPlain)) {
    return claim.map((each) => encode(String(each)).replaceAll(",", "%2C")).join(",");
  }
  return encode(isPlain(claim) ? String(claim) : JSON.stringify(claim));
}

function isPlain(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function encode(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]+|%/g, encodeURIComponent);
}
