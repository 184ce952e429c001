import { type HeaderMap, ParseEvent, ResponseParser } from "@cirque/http";

/** A response as a strict reader finds it. */
export interface ReadResponse {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly body: string;
  readonly trailers: HeaderMap | undefined;
}

/**
 * The responses in what a server sent on one connection, interim ones included. Methods of their requests default to GET.
 * @throws MalformedMessage when one of them is malformed, or when the last one is cut.
 */
export function readResponses(text: string, ...methods: readonly string[]): readonly ReadResponse[] {
  const parser = new ResponseParser();
  const responses: ReadResponse[] = [];
  let answered = 0;
  parser.push(Buffer.from(text, "latin1"));
  while (parser.bufferedBytes > 0) {
    parser.expect(methods[answered] ?? "GET");
    responses.push(readResponse(parser));
    if ((responses.at(-1)?.status ?? 0) >= 200) answered++;
    parser.startNext();
  }
  return responses;
}

function readResponse(parser: ResponseParser): ReadResponse {
  let body = "";
  for (;;) {
    const event = parser.next();
    if (event === ParseEvent.Data) body += parser.data.toString("latin1");
    else if (event === ParseEvent.End || (event === ParseEvent.NeedMore && parser.finish())) break;
    else if (event === ParseEvent.NeedMore) throw new Error("the bytes end before a response");
  }
  const { head, trailers } = parser;
  if (head === undefined) throw new Error("a response without a head");
  return { status: head.status, headers: head.headers, body, trailers };
}
