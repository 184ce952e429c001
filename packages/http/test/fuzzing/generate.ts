import type { Random } from "./random.ts";

/** Requests, one to three on a connection, as text. All of them are valid. */
export function generateRequests(random: Random): string {
  let text = "";
  for (let left = 1 + (random.oneIn(2) ? random.below(3) : 0); left > 0; left--) text += generateRequest(random);
  return text;
}

/** A final response to a request of that method, perhaps behind interim ones, as text. All of them are valid. */
export function generateResponse(random: Random, method: string): string {
  const interim = random.oneIn(6) ? "HTTP/1.1 100 Continue\r\n\r\n" : random.oneIn(8) ? EARLY_HINTS : "";
  const status = random.pick(STATUSES);
  const bodiless = method === "HEAD" || status.startsWith("204") || status.startsWith("304");
  const version = random.oneIn(6) ? "HTTP/1.0" : "HTTP/1.1";
  const fields = generateFields(random);
  const [framing, body] = random.oneIn(4) ? ["", bytes(random)] : generateBody(random, version);
  // The fields tell of the body that another method or status would have had.
  return `${interim}${version} ${status}\r\n${fields}${framing}\r\n${bodiless ? "" : body}`;
}

function generateRequest(random: Random): string {
  const method = random.pick(METHODS);
  const version = random.oneIn(10) ? "HTTP/1.0" : "HTTP/1.1";
  const target = method === "OPTIONS" && random.oneIn(2) ? "*" : random.pick(TARGETS);
  const [framing, body] = random.oneIn(3) ? ["", ""] : generateBody(random, version);
  const fields = [`Host: ${HOST}\r\n`, generateFields(random), framing];
  if (random.oneIn(2)) fields.reverse();
  const blankLine = random.oneIn(8) ? "\r\n" : "";
  return `${blankLine}${method} ${target} ${version}\r\n${fields.join("")}\r\n${body}`;
}

function generateFields(random: Random): string {
  let text = "";
  for (let left = random.below(5); left > 0; left--) text += random.pick(FIELDS);
  return text;
}

function generateBody(random: Random, version: string): [framing: string, body: string] {
  const name = random.pick(["Content-Length", "content-length", "CONTENT-LENGTH"]);
  if (version === "HTTP/1.0" || random.oneIn(2)) {
    const body = bytes(random);
    return [`${name}:${random.pick(SPACES)}${body.length}\r\n`, body];
  }
  let body = "";
  for (let left = random.below(4); left > 0; left--) {
    const data = `${bytes(random)}x`;
    const size = data.length.toString(16);
    body += `${random.oneIn(4) ? size.toUpperCase().padStart(3, "0") : size}${random.pick(EXTENSIONS)}\r\n${data}\r\n`;
  }
  const trailers = random.oneIn(3) ? random.pick(TRAILERS) : "";
  const coding = random.pick(["chunked", "Chunked", "CHUNKED"]);
  return [
    `Transfer-Encoding:${random.pick(SPACES)}${coding}\r\n`,
    `${body}0${random.pick(EXTENSIONS)}\r\n${trailers}\r\n`,
  ];
}

function bytes(random: Random): string {
  const kind = random.below(6);
  if (kind < 3) return "hello, world".slice(0, random.below(13));
  return random.pick(BODIES);
}

const HOST = "a.example";
const EARLY_HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
const METHODS = ["GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "M-SEARCH", "PURGE"];
const TARGETS = ["/", "/a/b.c?d=e&f", "/%20%ff", "//a//../b", `http://${HOST}/a?b`, `http://${HOST}`, '/a|b{}^`"<>\\'];
const STATUSES = [
  "200 OK",
  "200 OK",
  "200 ",
  "200",
  "204 No Content",
  "304 Not Modified",
  "404 Not Found",
  "500 Oh no",
  "999 Odd",
];
const SPACES = ["", " ", " ", "  ", "\t", " \t "];
const EXTENSIONS = ["", "", "", ";a", ";a=b", ';a="b"', ";a=b;c"];
const TRAILERS = ["x: y\r\n", "Grpc-Status: 0\r\nGrpc-Message: \xc3\xa9\r\n", "x:\r\n", "Content-MD5: a==\r\nx: y\r\n"];
const FIELDS = [
  "Accept: */*\r\n",
  "accept-encoding:gzip, br\r\n",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n",
  "Cookie: a=b; c=d\r\n",
  "X-Empty:\r\n",
  "X-Spaces: \t a  b \t \r\n",
  "X-Latin: \xe9\xff\x80\r\n",
  'X-Quoted: "a\\"b"\r\n',
  "!#$%&'*+-.^_`|~09: token\r\n",
  "Connection: keep-alive\r\n",
  "Connection: close\r\n",
  "Connection: x, keep-alive\r\n",
  "Expect: 100-continue\r\n",
  "TE: trailers\r\n",
  "Trailer: x\r\n",
  "Upgrade: websocket\r\n",
];
const BODIES = [
  "\r\n",
  "0\r\n\r\n",
  "\0\xff\r\n\r\n",
  "GET /inner HTTP/1.1\r\nHost: b\r\n\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "5\r\nhello\r\n0\r\n\r\n",
  "x".repeat(300),
];
