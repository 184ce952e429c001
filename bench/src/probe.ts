import { connect } from "node:net";

const answerWithinMs = 10_000;

/** The response to one request, as it came over the wire. */
export interface ProbeResponse {
  readonly status: number;
  readonly bodyBytes: number;
  /** Head and body. */
  readonly wholeBytes: number;
}

/**
 * Sends one request, and reads a response that is framed by Content-Length. The load measures responses
 * in bulk; this shows beforehand that the proxy answers with what the origin sent, and how long a
 * response is on the wire.
 *
 * @param request the whole request, head and body
 * @throws Error when no such response comes within ten seconds
 */
export async function probe(port: number, request: string): Promise<ProbeResponse> {
  const socket = connect(port, "127.0.0.1", () => socket.write(request));
  const { promise, resolve, reject } = Promise.withResolvers<ProbeResponse>();
  let received = "";
  socket.setTimeout(answerWithinMs, () => reject(new Error(`no whole response within ${answerWithinMs} ms`)));
  socket.on("error", reject);
  socket.on("end", () => reject(new Error("the connection was closed before a whole response")));
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    try {
      const response = parseResponse(received);
      if (response) resolve(response);
    } catch (error) {
      reject(error);
    }
  });
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/**
 * The response at the start of the text, or undefined while it is not whole.
 *
 * @throws SyntaxError when it has no status or no Content-Length
 */
export function parseResponse(received: string): ProbeResponse | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = received.slice(0, headEnd + 2);
  const status = /^HTTP\/1\.1 (\d{3})[ \r]/.exec(head)?.[1];
  const length = /\r\ncontent-length: *(\d+) *\r\n/i.exec(head)?.[1];
  if (status === undefined || length === undefined) {
    throw new SyntaxError(`not a response with a Content-Length: ${JSON.stringify(head.slice(0, 200))}`);
  }
  const wholeBytes = headEnd + 4 + Number(length);
  if (received.length < wholeBytes) return undefined;
  return { status: Number(status), bodyBytes: Number(length), wholeBytes };
}
