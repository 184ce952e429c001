// What the codec costs for a message that passes through a proxy: `npm run bench` in this package.
import {
  ParseEvent,
  RequestParser,
  ResponseParser,
  serializeRequestHead,
  serializeResponseHead,
  stripHopByHop,
} from "../src/index.ts";

interface Case {
  readonly name: string;
  readonly text: string;
  /** Parses the message once, and writes its head as a proxy sends it on. Answers how many bytes that were. */
  readonly pass: (bytes: Buffer) => number;
}

const requests = new RequestParser();
const responses = new ResponseParser();
const output = Buffer.alloc(4096);

const browserRequest = [
  "GET /assets/app/main.bundle.js?v=20250101&locale=en-GB HTTP/1.1",
  "Host: www.example.com",
  "Connection: keep-alive",
  'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: no-cors",
  "Sec-Fetch-Dest: script",
  "Referer: https://www.example.com/assets/",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8",
  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1; _ga=GA1.1.123456789.1700000000",
  'If-None-Match: "5f3e-5d2a7c"',
];
const responseFields = [
  "HTTP/1.1 200 OK",
  "Server: nginx",
  "Date: Sun, 06 Nov 1994 08:49:37 GMT",
  "Content-Type: text/html; charset=utf-8",
  "Connection: keep-alive",
  "Vary: Accept-Encoding",
  "Cache-Control: public, max-age=3600",
  'ETag: "5f3e-5d2a7c"',
  "X-Request-Id: 0123456789abcdef",
];

const cases: readonly Case[] = [
  { name: "request of a browser", text: message(browserRequest), pass: passRequest },
  { name: "request of a load generator", text: message(["GET / HTTP/1.1", "Host: 127.0.0.1:6188"]), pass: passRequest },
  {
    name: "response, 1 KiB",
    text: message([...responseFields, "Content-Length: 1024"], "x".repeat(1024)),
    pass: passResponse,
  },
  {
    name: "response, 16 chunks of 4 KiB",
    text: message(
      [...responseFields, "Transfer-Encoding: chunked"],
      `${`1000\r\n${"x".repeat(4096)}\r\n`.repeat(16)}0\r\n\r\n`,
    ),
    pass: passResponse,
  },
];

console.log("| message | bytes | CPU ns |\n| --- | --- | --- |");
for (const { name, text, pass } of cases) {
  const bytes = Buffer.from(text, "latin1");
  console.log(`| ${name} | ${bytes.length} | ${measure(() => pass(bytes)).toFixed(0)} |`);
}

function passRequest(bytes: Buffer): number {
  requests.push(bytes);
  let written = 0;
  for (let event = requests.next(); event !== ParseEvent.End; event = requests.next()) {
    const head = requests.head;
    if (event !== ParseEvent.Head || head === undefined) continue;
    stripHopByHop(head.headers);
    written = output.write(serializeRequestHead(head), "latin1");
  }
  requests.startNext();
  return written;
}

function passResponse(bytes: Buffer): number {
  responses.push(bytes);
  let written = 0;
  for (let event = responses.next(); event !== ParseEvent.End; event = responses.next()) {
    const head = responses.head;
    if (event !== ParseEvent.Head || head === undefined) continue;
    stripHopByHop(head.headers);
    written = output.write(serializeResponseHead(head, "Connection: keep-alive\r\n"), "latin1");
  }
  responses.startNext();
  return written;
}

function message(lines: readonly string[], body = ""): string {
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** Median CPU time of a pass in nanoseconds, of 15 runs behind three that warm up. */
function measure(pass: () => number): number {
  const passes = 40_000;
  const runs: number[] = [];
  for (let run = -3; run < 15; run++) {
    const before = process.cpuUsage();
    for (let i = 0; i < passes; i++) if (pass() === 0) throw new Error("nothing was written");
    const { user, system } = process.cpuUsage(before);
    if (run >= 0) runs.push(((user + system) * 1000) / passes);
  }
  return runs.sort((a, b) => a - b)[7] as number; // the middle of 15
}
