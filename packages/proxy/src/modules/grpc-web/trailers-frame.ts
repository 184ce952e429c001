import type { HeaderMap } from "@cirque/http";

/** Trailers as gRPC-web has them: a frame behind the messages, with lines as those of HTTP/1.1, names in lower case. */
export function trailersFrame(trailers: HeaderMap): Buffer {
  let lines = "";
  for (const [name, value] of trailers) lines += `${name.toLowerCase()}: ${value}\r\n`;
  const text = Buffer.from(lines, "latin1");
  const header = Buffer.alloc(5);
  header[0] = TRAILERS;
  header.writeUInt32BE(text.length, 1);
  return Buffer.concat([header, text]);
}

const TRAILERS = 0x80;
