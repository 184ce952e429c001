import type { HttpPeer } from "@cirque/core";
import { type RequestHead, stripHopByHop } from "@cirque/http";

/**
 * The request as an origin gets it: a copy of the client's, without what was for the client's connection only, in origin
 * form (RFC 9112, 3.2.1) and with a Host.
 * @param upgradeRequested Whether the client asks for another protocol, as it may.
 */
export function upstreamRequest(client: RequestHead, peer: HttpPeer, upgradeRequested: boolean): RequestHead {
  const request = client.clone();
  const upgrade = upgradeRequested ? request.headers.get("upgrade") : undefined;
  stripHopByHop(request.headers);
  if (upgrade !== undefined) request.headers.append("Upgrade", upgrade);
  // An HTTP/1.0 client may send none, but HTTP/1.1, which the origin is spoken to in, requires one.
  if (request.headers.find("host") === undefined) request.headers.append("Host", request.authority ?? hostOf(peer));
  if (request.target[0] !== "/") request.target = originForm(request);
  return request;
}

/** `http://host/path` is for proxies; an origin is asked for the path alone. */
function originForm(request: RequestHead): string {
  const { method, target } = request;
  if (target === "*" || method === "CONNECT") return target;
  // RFC 9112, 3.2.4: nothing behind the authority means the server as a whole.
  if (method === "OPTIONS" && /^[^/]*:\/\/[^/?]*$/.test(target)) return "*";
  const { path, query } = request;
  return target.includes("?") ? `${path}?${query}` : path;
}

function hostOf(peer: HttpPeer): string {
  if (peer.sni !== undefined) return peer.sni;
  return "path" in peer.socketAddress ? "localhost" : peer.address;
}
