import {
  DEFAULT_LIMITS,
  Field,
  HeaderMap,
  isAuthority,
  isFieldValue,
  isToken,
  isTrailerField,
  MalformedMessage,
  type ParserLimits,
  parseContentLength,
  RequestHead,
  ResponseHead,
  usualSpelling,
} from "@cirque/http";

/** What a field section may be at most: those of the limits of HTTP/1.1 that mean something here. */
export type FieldLimits = Pick<ParserLimits, "headBytes" | "fieldBytes" | "fields" | "targetBytes" | "trailerBytes">;

/** A request as HTTP/2 says it. */
export interface ReceivedRequest {
  /** Method, `:path` as target (`:authority` for CONNECT), and the fields, with one Host in front. */
  readonly head: RequestHead;
  readonly scheme: string;
  /** The protocol that an extended CONNECT asks for (RFC 8441, 4). */
  readonly protocol: string | undefined;
  /** What the fields declare the body to be. */
  readonly contentLength: number | undefined;
}

/**
 * Reads the fields of a request (RFC 9113, 8.3.1), names and values in turn, as `node:http2` gives them. nghttp2 below it
 * checks much of this; it is checked here once more, for what a head says goes on to others.
 * @throws MalformedMessage
 */
export function requestHeadOf(raw: readonly string[], limits: FieldLimits = DEFAULT_LIMITS): ReceivedRequest {
  let method: string | undefined;
  let scheme: string | undefined;
  let authority: string | undefined;
  let path: string | undefined;
  let protocol: string | undefined;
  let at = 0;
  for (; at < raw.length; at += 2) {
    const name = raw[at] as string;
    if (name.charCodeAt(0) !== COLON) break;
    const value = raw[at + 1] as string;
    if (name === ":method" && method === undefined) method = value;
    else if (name === ":scheme" && scheme === undefined) scheme = value;
    else if (name === ":authority" && authority === undefined) authority = value;
    else if (name === ":path" && path === undefined) path = value;
    else if (name === ":protocol" && protocol === undefined) protocol = value;
    else throw new MalformedMessage("invalid-pseudo-field", `unknown or repeated: ${name.slice(0, 40)}`);
  }
  if (method === undefined) throw new MalformedMessage("invalid-pseudo-field", "there is no :method");
  checkMethod(method);
  const section = new SectionReader(limits);
  const host = readHost(raw, at);
  const site = hostOf(authority, host, scheme);
  section.add("host", site);
  section.addAll(raw, at, host !== undefined);
  const target = targetOf(method, site, scheme, path, protocol);
  if (target.length > limits.targetBytes) {
    throw new MalformedMessage("target-too-long", `more than ${limits.targetBytes} bytes`);
  }
  if (!TARGET.test(target)) {
    throw new MalformedMessage("invalid-target", 'empty, or with a control character, a space or "#"');
  }
  const head = RequestHead.adopt(method, target, section.headers(), "2");
  return { head, scheme: scheme ?? "", protocol, contentLength: section.contentLength };
}

/**
 * Reads the fields of a response (RFC 9113, 8.3.2).
 * @throws MalformedMessage
 */
export function responseHeadOf(raw: readonly string[], limits: FieldLimits = DEFAULT_LIMITS): ResponseHead {
  const status = raw[1];
  if (raw[0] !== ":status" || status === undefined || !/^[1-9]\d\d$/.test(status)) {
    throw new MalformedMessage("invalid-pseudo-field", "expected a :status of three digits first");
  }
  const section = new SectionReader(limits, true);
  section.addAll(raw, 2, false);
  return new ResponseHead(Number(status), section.headers(), "2");
}

/**
 * Reads trailer fields (RFC 9113, 8.1). Those that frame or route a message are dropped, as over HTTP/1.1.
 * @throws MalformedMessage
 */
export function trailersOf(raw: readonly string[], limits: FieldLimits = DEFAULT_LIMITS): HeaderMap {
  const section = new SectionReader({ ...limits, headBytes: limits.trailerBytes });
  section.addAll(raw, 0, false);
  const trailers = section.headers();
  trailers.filter(isTrailerField);
  return trailers;
}

/** The fields of a response, names and values in turn, for `respond` of `node:http2`. */
export function responseFields(head: ResponseHead): string[] {
  return appendFields([":status", String(head.status)], head.headers);
}

/** The fields of an interim response, for `additionalHeaders` of `node:http2`. */
export function interimFields(head: ResponseHead): Record<string, string | string[]> {
  return { ":status": String(head.status), ...recordOf(head.headers, () => true) };
}

/**
 * The fields of a request, names and values in turn, for `request` of `node:http2`.
 * @param protocol Makes an extended CONNECT of it (RFC 8441, 4): the Upgrade field of HTTP/1.1, or what it asks for.
 */
export function requestFields(head: RequestHead, scheme: "http" | "https", protocol?: string): string[] {
  const { authority } = head;
  const raw = [":method", protocol === undefined ? head.method : "CONNECT"];
  if (head.method !== "CONNECT") raw.push(":scheme", scheme);
  if (authority !== undefined) raw.push(":authority", authority);
  if (head.method !== "CONNECT") raw.push(":path", pathOf(head));
  if (protocol !== undefined) raw.push(":protocol", protocol);
  return appendFields(raw, head.headers, authority !== undefined);
}

/** Trailer fields, for `sendTrailers` of `node:http2`. */
export function trailerFields(trailers: HeaderMap): Record<string, string | string[]> {
  return recordOf(trailers, isTrailerField);
}

const COLON = 0x3a;

/** Visible ASCII but `#`, and bytes above 0x7f: what cannot end a request line of HTTP/1.1 early (V9-09). */
const TARGET = /^[!"$-~\x80-\xff]+$/;

/** Puts the fields of one section into one text, as the parser of HTTP/1.1 has them: they leave over it as one slice. */
class SectionReader {
  readonly #limits: FieldLimits;
  readonly #spelt: boolean;
  #text = "";
  readonly #ends: number[] = [];
  #cookies = "";
  contentLength: number | undefined;

  /** @param spelt Whether names get the spelling that clients of HTTP/1.1 are used to (H2C-05). */
  constructor(limits: FieldLimits, spelt = false) {
    this.#limits = limits;
    this.#spelt = spelt;
  }

  /** @param withoutHost Whether the Host field has been read before. */
  addAll(raw: readonly string[], from: number, withoutHost: boolean): void {
    for (let at = from; at < raw.length; at += 2) {
      const name = raw[at] as string;
      const value = raw[at + 1] as string;
      this.#check(name, value);
      if (name === "cookie") this.#cookies = this.#cookies === "" ? value : `${this.#cookies}; ${value}`;
      else if (name !== "host" || !withoutHost) this.add(name, value);
    }
    if (this.#cookies !== "") this.add("cookie", this.#cookies);
  }

  add(name: string, value: string): void {
    const { fields, fieldBytes, headBytes } = this.#limits;
    const bytes = name.length + value.length + 4;
    if (bytes > fieldBytes) throw new MalformedMessage("field-too-large", `more than ${fieldBytes} bytes`);
    this.#text += `${this.#spelt ? usualSpelling(name) : name}: ${value}\r\n`;
    if (this.#text.length > headBytes) throw new MalformedMessage("head-too-large", `more than ${headBytes} bytes`);
    this.#ends.push(name.length, this.#text.length);
    if (this.#ends.length > fields * 2) throw new MalformedMessage("too-many-fields", `more than ${fields}`);
  }

  headers(): HeaderMap {
    const text = this.#text;
    const ends = this.#ends;
    const fields = new Array<Field>(ends.length / 2);
    let start = 0;
    for (let i = 0; i < fields.length; i++) {
      const nameEnd = start + (ends[i * 2] as number);
      const end = ends[i * 2 + 1] as number;
      fields[i] = new Field(text, start, nameEnd, nameEnd + 2, end - 2, end);
      start = end;
    }
    return HeaderMap.adopt(fields);
  }

  #check(name: string, value: string): void {
    if (name.charCodeAt(0) === COLON) {
      throw new MalformedMessage("invalid-pseudo-field", "behind the other fields, or where none may be");
    }
    if (!isToken(name) || name !== name.toLowerCase()) {
      throw new MalformedMessage("invalid-field-name", "expected a name in lower case");
    }
    if (!isFieldValue(value) || hasOuterWhiteSpace(value)) {
      throw new MalformedMessage("invalid-field-value", "a control character, or white space around it");
    }
    if (isConnectionSpecific(name, value)) {
      throw new MalformedMessage("connection-specific-field", `${name} has no meaning in HTTP/2 (RFC 9113, 8.2.2)`);
    }
    if (name !== "content-length") return;
    if (this.contentLength !== undefined) {
      throw new MalformedMessage("repeated-content-length", "two Content-Length fields");
    }
    this.contentLength = parseContentLength(value);
  }
}

function checkMethod(method: string): void {
  if (method.length > 32) throw new MalformedMessage("method-too-long", "more than 32 bytes");
  if (!/^[A-Z][A-Z0-9_-]*$/.test(method)) {
    throw new MalformedMessage("invalid-method", "it is not upper-case letters, digits, - and _");
  }
}

/** The Host field among regular ones, if there is one. */
function readHost(raw: readonly string[], from: number): string | undefined {
  let host: string | undefined;
  for (let at = from; at < raw.length; at += 2) {
    if (raw[at] !== "host") continue;
    if (host !== undefined) throw new MalformedMessage("repeated-host", "two Host fields");
    host = raw[at + 1];
  }
  return host;
}

/** The one site that `:authority` and Host name (V9-08; RFC 9113, 8.3.1): two servers in a row must not see two. */
function hostOf(authority: string | undefined, host: string | undefined, scheme: string | undefined): string {
  const site = authority ?? host;
  if (site === undefined) throw new MalformedMessage("missing-host", "neither :authority nor Host");
  if (site !== lastValidSite && !isAuthority(site)) {
    throw new MalformedMessage("invalid-host", "expected a host name or address and an optional port");
  }
  lastValidSite = site;
  if (authority === undefined || host === undefined || authority === host) return site;
  if (canonical(authority, scheme) !== canonical(host, scheme)) {
    throw new MalformedMessage("authority-mismatch", "Host and :authority differ");
  }
  return site;
}

/** The value found valid last: a server hears the same few hosts all day. */
let lastValidSite: string | undefined;

function canonical(authority: string, scheme: string | undefined): string {
  const lower = authority.toLowerCase();
  const usualPort = scheme === "http" ? ":80" : ":443";
  return lower.endsWith(usualPort) ? lower.slice(0, -usualPort.length) : lower.replace(/:$/, "");
}

function targetOf(
  method: string,
  site: string,
  scheme: string | undefined,
  path: string | undefined,
  protocol: string | undefined,
): string {
  if (method === "CONNECT" && protocol === undefined) {
    if (scheme !== undefined || path !== undefined) {
      throw new MalformedMessage("invalid-pseudo-field", "CONNECT has neither :scheme nor :path (RFC 9113, 8.5)");
    }
    if (!/:\d+$/.test(site)) throw new MalformedMessage("invalid-target", "CONNECT takes host:port");
    return site;
  }
  if (protocol !== undefined && (method !== "CONNECT" || !isToken(protocol))) {
    throw new MalformedMessage("invalid-pseudo-field", ":protocol is for CONNECT, and a token (RFC 8441, 4)");
  }
  if (scheme !== "http" && scheme !== "https") {
    throw new MalformedMessage("invalid-pseudo-field", "expected the :scheme http or https");
  }
  if (path === undefined) throw new MalformedMessage("invalid-pseudo-field", "there is no :path");
  if (!path.startsWith("/") && !(path === "*" && method === "OPTIONS")) {
    throw new MalformedMessage("invalid-target", "expected a :path that begins with a slash, or * for OPTIONS");
  }
  return path;
}

/** Path and query of a target of any form. */
function pathOf(head: RequestHead): string {
  const { target } = head;
  if (target.startsWith("/") || target === "*") return target;
  return target.slice(target.indexOf("://")).includes("?") ? `${head.path}?${head.query}` : head.path;
}

function appendFields(raw: string[], headers: HeaderMap, withoutHost = false): string[] {
  const fields = headers.fields();
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i] as Field;
    const name = field.name.toLowerCase();
    const { value } = field;
    if (isConnectionSpecific(name, value) || (withoutHost && name === "host")) continue;
    raw.push(name, value);
  }
  return raw;
}

function recordOf(headers: HeaderMap, keep: (field: Field) => boolean): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = {};
  for (const field of headers.fields()) {
    const name = field.name.toLowerCase();
    if (isConnectionSpecific(name, field.value) || !keep(field)) continue;
    const former = record[name];
    if (former === undefined) record[name] = field.value;
    else if (typeof former === "string") record[name] = [former, field.value];
    else former.push(field.value);
  }
  return record;
}

/** Fields of one connection of HTTP/1.1, which HTTP/2 forbids (RFC 9113, 8.2.2). */
function isConnectionSpecific(name: string, value: string): boolean {
  switch (name.length) {
    case 2:
      return name === "te" && value.toLowerCase() !== "trailers";
    case 7:
      return name === "upgrade";
    case 10:
      return name === "connection" || name === "keep-alive";
    case 14:
      return name === "http2-settings";
    case 16:
      return name === "proxy-connection";
    case 17:
      return name === "transfer-encoding";
    default:
      return false;
  }
}

function hasOuterWhiteSpace(value: string): boolean {
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  return first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09;
}
