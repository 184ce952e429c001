import { HTAB, isFieldValue, isToken, SP } from "./characters.ts";
import { Field } from "./field.ts";

/** What a header map can be made from: pairs, a record (an array makes several fields), or another collection of pairs. */
export type HeaderInit =
  | Iterable<readonly [name: string, value: string]>
  | Readonly<Record<string, string | readonly string[]>>;

/**
 * The fields of a message, in order, with the spelling and the duplicates they were sent with (HDR-01..HDR-03).
 *
 * Look-ups ignore case. Values are strings of bytes (latin1): what is not ASCII passes through unchanged. Names and
 * values given by code are checked, so that no field can break the framing of the message that carries it.
 */
export class HeaderMap {
  readonly #fields: Field[];

  /**
   * @param fields Lines that a parser has checked: they come first, and the array belongs to the map from here on.
   * @throws TypeError for a name or value that may not be sent.
   */
  constructor(init: HeaderInit = NOTHING, fields: Field[] = []) {
    this.#fields = fields;
    if (init === NOTHING) return;
    if (Symbol.iterator in init) {
      for (const [name, value] of init) this.append(name, value);
    } else {
      for (const [name, value] of Object.entries(init)) {
        for (const one of typeof value === "string" ? [value] : value) this.append(name, one);
      }
    }
  }

  /** A map over fields that a parser has checked. The array belongs to the map from here on. */
  static adopt(fields: Field[]): HeaderMap {
    return new HeaderMap(NOTHING, fields);
  }

  /** How many field lines there are. */
  get size(): number {
    return this.#fields.length;
  }

  /**
   * The value of a field; of several fields of the name, all values joined as RFC 9110, 5.3 allows (`, `; for `cookie`
   * `; `, RFC 9113, 8.2.3), or undefined. Read `set-cookie` with `getAll`: it must not be joined.
   */
  get(name: string): string | undefined {
    const lowerCase = name.toLowerCase();
    const fields = this.#fields;
    let value: string | undefined;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field;
      if (!field.is(lowerCase)) continue;
      if (value === undefined) value = field.value;
      else value += (lowerCase === "cookie" ? "; " : ", ") + field.value;
    }
    return value;
  }

  /**
   * The first field line of a name given in lower case; undefined when there is none. The cheapest look-up: for code that
   * runs with each message.
   */
  find(lowerCaseName: string): Field | undefined {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field;
      if (field.is(lowerCaseName)) return field;
    }
    return undefined;
  }

  /** The value of each field of the name, in order. */
  getAll(name: string): string[] {
    const lowerCase = name.toLowerCase();
    return this.#fields.filter((field) => field.is(lowerCase)).map((field) => field.value);
  }

  has(name: string): boolean {
    return this.#indexOf(name.toLowerCase(), 0) !== -1;
  }

  /**
   * Replaces every field of the name by one, in the place of the first; a new one comes last. A name in lower case says
   * nothing of spelling (HDR-02): the replaced field's is kept, or the usual one is taken.
   * @throws TypeError for a name or value that may not be sent.
   */
  set(name: string, value: string): this {
    const lowerCase = name.toLowerCase();
    const first = this.#indexOf(lowerCase, 0);
    if (first === -1) return this.append(name, value);
    const spelling = name === lowerCase ? (this.#fields[first] as Field).name : checkedName(name);
    this.#fields[first] = Field.of(spelling, checkedValue(name, value));
    for (let i = this.#fields.length - 1; i > first; i--) {
      if ((this.#fields[i] as Field).is(lowerCase)) this.#fields.splice(i, 1);
    }
    return this;
  }

  /**
   * Adds a field after the others.
   * @throws TypeError for a name or value that may not be sent.
   */
  append(name: string, value: string): this {
    this.#fields.push(Field.of(USUAL_SPELLING.get(name) ?? checkedName(name), checkedValue(name, value)));
    return this;
  }

  /** Removes every field of the name. Says whether there was one. */
  delete(name: string): boolean {
    const lowerCase = name.toLowerCase();
    let found = false;
    for (let i = this.#fields.length - 1; i >= 0; i--) {
      if (!(this.#fields[i] as Field).is(lowerCase)) continue;
      this.#fields.splice(i, 1);
      found = true;
    }
    return found;
  }

  /** Keeps the fields that `keep` says true of. */
  filter(keep: (field: Field) => boolean): void {
    const fields = this.#fields;
    let kept = 0;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i] as Field;
      if (!keep(field)) continue;
      if (kept !== i) fields[kept] = field;
      kept++;
    }
    if (kept !== fields.length) fields.length = kept;
  }

  /** The field lines themselves, in order: for loops that must not make strings. Do not change the array. */
  fields(): readonly Field[] {
    return this.#fields;
  }

  /** Name, as spelt, and value of each field line, in order. */
  *[Symbol.iterator](): Generator<[name: string, value: string]> {
    for (const field of this.#fields) yield [field.name, field.value];
  }

  /** A copy that can be changed without changing this one. */
  clone(): HeaderMap {
    return HeaderMap.adopt(this.#fields.slice());
  }

  /** A `Headers` of the fetch standard with the same fields. */
  toHeaders(): Headers {
    const headers = new Headers();
    for (const field of this.#fields) headers.append(field.name, field.value);
    return headers;
  }

  /** The field lines as HTTP/1.1 sends them, each with its CRLF, without the empty line that ends a head. */
  toWire(): string {
    const fields = this.#fields;
    let wire = "";
    let i = 0;
    while (i < fields.length) {
      const first = fields[i] as Field;
      let end = first.end;
      i++;
      // Neighbours that arrived in one text leave as one slice of it.
      while (i < fields.length) {
        const next = fields[i] as Field;
        if (next.text !== first.text || next.start !== end) break;
        end = next.end;
        i++;
      }
      wire += first.text.slice(first.start, end);
    }
    return wire;
  }

  /** The fields as an object, for logs: names in lower case, values of equal names joined. */
  toJSON(): Record<string, string> {
    const names = new Set(this.#fields.map((field) => field.name.toLowerCase()));
    return Object.fromEntries(Array.from(names, (name) => [name, this.get(name) ?? ""]));
  }

  #indexOf(lowerCaseName: string, from: number): number {
    for (let i = from; i < this.#fields.length; i++) {
      if ((this.#fields[i] as Field).is(lowerCaseName)) return i;
    }
    return -1;
  }
}

/** How HTTP/1.1 spells a name that has no spelling of its own, as those of HTTP/2 (HDR-02). It is as long. */
export function usualSpelling(lowerCaseName: string): string {
  return USUAL_SPELLING.get(lowerCaseName) ?? lowerCaseName;
}

const NOTHING: HeaderInit = [];

function checkedName(name: string): string {
  if (!isToken(name)) throw new TypeError(`${JSON.stringify(name)} is not a field name (RFC 9110, 5.1)`);
  return name;
}

function checkedValue(name: string, value: string): string {
  if (!isFieldValue(value)) {
    throw new TypeError(
      `The value of field ${name} has a control character or one above U+00FF: ${JSON.stringify(value)}. Encode it first.`,
    );
  }
  return withoutOuterWhiteSpace(value);
}

/** `String.prototype.trim` would take U+00A0 as well, which here is one byte of a longer character. */
function withoutOuterWhiteSpace(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isWhiteSpace(value.charCodeAt(start))) start++;
  while (end > start && isWhiteSpace(value.charCodeAt(end - 1))) end--;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

function isWhiteSpace(code: number): boolean {
  return code === SP || code === HTAB;
}

/** How names that come without a spelling of their own are written (HDR-02): lower case but for these. */
const USUAL_SPELLING: ReadonlyMap<string, string> = new Map(
  [
    "Accept-Ranges",
    "Age",
    "Cache-Control",
    "Connection",
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "Date",
    "Transfer-Encoding",
    "Host",
    "Server",
    "Set-Cookie",
  ].map((name) => [name.toLowerCase(), name]),
);
