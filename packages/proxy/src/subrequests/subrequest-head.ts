import { CirqueError } from "@cirque/core";
import { HeaderMap, MalformedMessage, parseContentLength, RequestHead, stripHopByHop } from "@cirque/http";
import type { MemoryRequest } from "../memory/memory-server-session.ts";
import type { Session } from "../session.ts";

/**
 * A request of the fetch standard as one that comes from the client of `session`. A path is one of the site that the client
 * asked for.
 *
 * @throws CirqueError `InvalidArgument` for what is no request, or has been read before.
 */
export function subrequestOf(
  session: Session,
  request: Request | URL | string,
): { readonly request: MemoryRequest; readonly signal: AbortSignal | undefined } {
  const isRequest = typeof request === "object" && "headers" in request;
  const url = urlOf(session, isRequest ? request.url : String(request));
  if (isRequest && (request.bodyUsed || request.body?.locked)) {
    throw invalid("a Request can be sent once: make a new one for each subrequest");
  }
  const headers = new HeaderMap(isRequest ? request.headers : []);
  stripHopByHop(headers);
  if (!headers.has("host")) headers.append("Host", url.host);
  const body = (isRequest && request.body) || undefined;
  checkLength(headers, body !== undefined);
  return {
    request: {
      head: new RequestHead(isRequest ? request.method : "GET", url.pathname + url.search, headers),
      body,
      clientAddress: session.clientAddress,
      serverAddress: session.serverAddress,
      accepted: session.accepted,
    },
    signal: isRequest ? request.signal : undefined,
  };
}

function urlOf(session: Session, address: string): URL {
  const site = `${session.tls ? "https" : "http"}://${session.request.authority ?? session.serverAddress}`;
  const url = URL.canParse(address, site) ? new URL(address, site) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url;
  throw invalid(`${JSON.stringify(address)} is neither a path nor an http: or https: URL`);
}

function checkLength(headers: HeaderMap, hasBody: boolean): void {
  const lengths = headers.getAll("content-length");
  if (lengths.length === 0) return;
  if (!hasBody) headers.delete("content-length");
  else {
    try {
      for (const length of lengths) parseContentLength(length);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      throw invalid(`the Content-Length of a subrequest is ${lengths.join(", ")}`);
    }
  }
}

function invalid(message: string): CirqueError {
  return CirqueError.internal("InvalidArgument", message);
}
