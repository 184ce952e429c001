import {
  CHUNKED,
  chunkSizeLine,
  lastChunk,
  MalformedMessage,
  ParseEvent,
  RequestParser,
  ResponseParser,
  serializeRequestHead,
  serializeResponseHead,
  stripHopByHop,
  UNTIL_CLOSE,
} from "@cirque/http";

/** The complete messages among `bytes`, each as a proxy sends it on: hop-by-hop fields gone, framing of its own, a Host. */
export function relayRequests(bytes: Buffer): string[] {
  const parser = new RequestParser();
  return relay(parser, bytes, () => parser.head?.method !== "CONNECT");
}

/** The same for responses to `method`, up to the first final one. */
export function relayResponses(bytes: Buffer, method: string): string[] {
  const parser = new ResponseParser();
  parser.expect(method);
  return relay(parser, bytes, () => parser.head?.informational === true);
}

function relay(parser: RequestParser | ResponseParser, bytes: Buffer, goesOn: () => boolean): string[] {
  const messages: string[] = [];
  let message = "";
  let chunked = false;
  const end = (): void => {
    messages.push(chunked ? message + lastChunk(parser.trailers) : message);
  };
  parser.push(bytes);
  try {
    for (;;) {
      const event = parser.next();
      if (event === ParseEvent.NeedMore) {
        if (parser.finish()) end();
        return messages;
      }
      if (event === ParseEvent.Head) {
        chunked = parser.bodyLength === CHUNKED || parser.bodyLength === UNTIL_CLOSE;
        message = serializeHead(parser, chunked ? "Transfer-Encoding: chunked\r\n" : "");
      } else if (event === ParseEvent.Data) {
        const data = parser.data.toString("latin1");
        message += chunked ? `${chunkSizeLine(data.length)}${data}\r\n` : data;
      } else {
        end();
        if (!goesOn()) return messages;
        parser.startNext();
      }
    }
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return messages;
  }
}

function serializeHead(parser: RequestParser | ResponseParser, framing: string): string {
  if (parser instanceof RequestParser) {
    const head = parser.head as NonNullable<typeof parser.head>; // there is a Head event
    stripHopByHop(head.headers);
    // HTTP/1.0 may come without; HTTP/1.1 never leaves without (RFC 9112, 3.2).
    if (!head.headers.has("host")) head.headers.set("host", head.authority ?? "a.example");
    return serializeRequestHead(head, framing);
  }
  const head = parser.head as NonNullable<typeof parser.head>; // there is a Head event
  stripHopByHop(head.headers);
  if (head.status < 200 || head.status === 204) head.headers.delete("content-length"); // RFC 9110, 8.6
  return serializeResponseHead(head, framing);
}
