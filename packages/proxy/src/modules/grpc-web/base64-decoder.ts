/**
 * Undoes base64 that comes in pieces, each of which may end anywhere, and may have been encoded for itself: padding may
 * stand behind any message, and not only at the end.
 */
export class Base64Decoder {
  #rest = "";

  /**
   * The bytes of the next piece.
   * @throws SyntaxError for what is not base64 (RFC 4648, 4).
   */
  push(data: Buffer): Buffer {
    const text = this.#rest + data.toString("latin1");
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    const decoded: Buffer[] = [];
    for (let start = 0; start < whole; ) {
      const padding = text.indexOf("=", start);
      const end = padding === -1 || padding >= whole ? whole : padding + 4 - (padding % 4);
      const part = text.slice(start, end);
      if (!BASE64.test(part)) throw new SyntaxError("this is not base64");
      decoded.push(Buffer.from(part, "base64"));
      start = end;
    }
    const [first] = decoded;
    return decoded.length === 1 && first !== undefined ? first : Buffer.concat(decoded);
  }

  /** Whether all that came is decoded, and no group of four characters is begun. */
  get complete(): boolean {
    return this.#rest === "";
  }
}

/** In groups of four, the last of which may be padded. */
const BASE64 = /^[A-Za-z0-9+/]*(?:[A-Za-z0-9+/]==|=)?$/;
