import { createHash } from "node:crypto";
import { HeaderMap, type RequestHead, ResponseHead } from "@cirque/http";

/** A request for a WebSocket on its way over HTTP/2. */
export interface WebSocketUpgrade {
  /** What is sent: without the fields that only HTTP/1.1 has. */
  readonly head: RequestHead;
  /** What the client of HTTP/1.1 wants to see of its key. */
  readonly accept: string | undefined;
}

/** Whether a request asks for a WebSocket in the way of HTTP/1.1 (RFC 6455, 4.1). */
export function isWebSocketUpgrade(head: RequestHead): boolean {
  return head.method === "GET" && head.headers.find("upgrade")?.valueIs("websocket") === true;
}

/** The request as an extended CONNECT (RFC 8441, 5): no Upgrade, and no key, whose work the stream itself does. */
export function webSocketUpgrade(head: RequestHead): WebSocketUpgrade {
  const sent = head.clone();
  const key = sent.headers.find("sec-websocket-key")?.value;
  sent.headers.filter((field) => !field.is("upgrade") && !field.is("connection") && !field.is("sec-websocket-key"));
  return { head: sent, accept: key && acceptOf(key) };
}

/** The answer that opens the WebSocket, as HTTP/1.1 has it (RFC 6455, 4.2.2). */
export function switchedProtocols(head: ResponseHead, { accept }: WebSocketUpgrade): ResponseHead {
  const headers = new HeaderMap([["Upgrade", "websocket"]]);
  if (accept !== undefined) headers.append("Sec-WebSocket-Accept", accept);
  for (const [name, value] of head.headers) if (name !== "content-length") headers.append(name, value);
  return new ResponseHead(101, headers, "2");
}

function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
