import { randomBytes } from "node:crypto";
import type { RequestHead, ResponseHead } from "@cirque/http";

/**
 * Makes of an extended CONNECT for a WebSocket (RFC 8441, 5) the request of HTTP/1.1 that means the same: whoever works
 * on requests knows that one, and an origin that speaks HTTP/1.1 alone as well.
 */
export function asUpgradeRequest(head: RequestHead, protocol: string): void {
  head.method = "GET";
  head.headers.set("Connection", "Upgrade").set("Upgrade", protocol);
  if (protocol.toLowerCase() === "websocket") {
    head.headers.set("Sec-WebSocket-Key", randomBytes(16).toString("base64"));
  }
}

/** Makes of the 101 of HTTP/1.1 the answer to an extended CONNECT, which knows no key and no protocol of the connection. */
export function asConnectResponse(head: ResponseHead): void {
  head.status = 200;
  head.headers.delete("sec-websocket-accept");
  head.headers.delete("content-length");
}
