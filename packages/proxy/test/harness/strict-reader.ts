/**
 * Reads what the proxy sent, by the letter of RFC 9112 and with none of the code under test: a fault in our parser must
 * not hide the same fault in our serialiser.
 */

/** A message as sent. */
export interface StrictMessage {
  /** The start line. */
  readonly line: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

/** All that was sent on one connection. */
export interface StrictReading {
  readonly messages: readonly StrictMessage[];
  /** What is behind them: the beginning of a message that was cut, or that ends where the connection does. */
  readonly rest: string;
}

/** Reads requests. @throws Error for the first thing that is wrong. */
export function readRequestsStrictly(text: string): StrictReading {
  return readAll(text, (line, fields) => {
    const [, method] = matched(
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-"$-~\x80-\xff]+) HTTP\/1\.1$/,
      line,
      "a request line",
    );
    const hosts = valuesOf(fields, "host");
    if (hosts.length !== 1) throw new Error(`${hosts.length} Host fields`);
    matched(/^(?:[A-Za-z0-9._~%!$&'()*+;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/, hosts[0] ?? "", "a Host");
    const target = line.split(" ")[1] ?? "";
    const inForm = method === "CONNECT" || target.startsWith("/") || (method === "OPTIONS" && target === "*");
    if (!inForm) throw new Error(`${target} is not in origin form (RFC 9112, 3.2.1)`);
    return framing(fields) ?? 0;
  });
}

/** Reads responses to requests with these methods (the others: GET). @throws Error for the first thing that is wrong. */
export function readResponsesStrictly(text: string, ...methods: readonly string[]): StrictReading {
  let answered = 0;
  return readAll(text, (line, fields) => {
    const [, digits] = matched(/^HTTP\/1\.1 ([1-9]\d\d) [\t -~\x80-\xff]*$/, line, "a status line");
    const status = Number(digits);
    const length = framing(fields);
    if (status < 200) {
      if (length !== undefined) throw new Error(`a body of ${status}`);
      return status === 101 ? "until-close" : 0;
    }
    const method = methods[answered++] ?? "GET";
    if (status === 204 && length !== undefined) throw new Error("a body of 204");
    if (status === 204 || status === 304 || method === "HEAD") {
      if (length === "chunked" && method !== "HEAD") throw new Error(`a chunked body of ${status}`);
      return 0;
    }
    if (length !== undefined) return length;
    const closes = valuesOf(fields, "connection").some((value) => /\bclose\b/i.test(value));
    if (!closes) throw new Error("a response without framing that does not close");
    return "until-close";
  });
}

type Framing = number | "chunked" | "until-close";
type Fields = StrictMessage["fields"];

function readAll(text: string, bodyOf: (line: string, fields: Fields) => Framing): StrictReading {
  const messages: StrictMessage[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) {
      checkLines(rest);
      return { messages, rest };
    }
    const [line = "", ...lines] = checkLines(rest.slice(0, end));
    const fields = lines.map(parseField);
    const length = bodyOf(line, fields);
    const behind = rest.slice(end + 4);
    if (length === "until-close") return { messages, rest };
    const read = length === "chunked" ? readChunks(behind) : readSized(behind, length);
    if (read === undefined) return { messages, rest };
    messages.push({ line, fields, body: read.body, trailers: read.trailers });
    rest = behind.slice(read.length);
  }
}

interface ReadBody {
  readonly body: string;
  readonly trailers: Fields;
  readonly length: number;
}

function readSized(text: string, length: number): ReadBody | undefined {
  return text.length < length ? undefined : { body: text.slice(0, length), trailers: [], length };
}

function readChunks(text: string): ReadBody | undefined {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const [, digits = ""] = matched(/^([0-9a-f]{1,13})$/i, text.slice(at, lineEnd), "a chunk size");
    const size = Number.parseInt(digits, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    if (text.length < at + size + 2) return undefined;
    body += text.slice(at, at + size);
    if (text.slice(at + size, at + size + 2) !== "\r\n") throw new Error("no CRLF behind a chunk");
    at += size + 2;
  }
  if (text.startsWith("\r\n", at)) return { body, trailers: [], length: at + 2 };
  const end = text.indexOf("\r\n\r\n", at);
  if (end < 0) return undefined;
  const trailers = checkLines(text.slice(at, end)).map(parseField);
  for (const [name] of trailers) {
    if (/^(?:content-length|transfer-encoding|host|trailer)$/i.test(name)) throw new Error(`${name} in trailers`);
  }
  return { body, trailers, length: end + 4 };
}

/** @returns undefined where no field frames a body. */
function framing(fields: Fields): number | "chunked" | undefined {
  const lengths = valuesOf(fields, "content-length");
  const codings = valuesOf(fields, "transfer-encoding");
  if (lengths.length + codings.length > 1) throw new Error("framed in two ways");
  const [coding] = codings;
  if (coding !== undefined) {
    matched(/^chunked$/, coding, "Transfer-Encoding");
    return "chunked";
  }
  const [length] = lengths;
  if (length === undefined) return undefined;
  matched(/^\d{1,16}$/, length, "Content-Length");
  return Number(length);
}

function checkLines(text: string): readonly string[] {
  const lines = text.split("\r\n");
  for (const line of lines)
    if (/[\r\n\0]/.test(line)) throw new Error(`a stray CR, LF or NUL: ${JSON.stringify(line)}`);
  return lines;
}

function parseField(line: string): readonly [string, string] {
  const [, name = "", value = ""] = matched(
    /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*$/,
    line,
    "a field line",
  );
  return [name, value];
}

function valuesOf(fields: Fields, name: string): readonly string[] {
  return fields.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

function matched(pattern: RegExp, text: string, what: string): RegExpExecArray {
  const match = pattern.exec(text);
  if (match === null) throw new Error(`not ${what}: ${JSON.stringify(text)}`);
  return match;
}
