import { CirqueError } from "@cirque/core";
import type { MemoryServerSession } from "../memory/memory-server-session.ts";

/** Bytes of a response body that a test may have. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/**
 * The response of a session with all of its body in memory. One that was cut fails behind what came of it; for none at all
 * there is the network error of the fetch standard.
 *
 * @throws CirqueError `InvalidArgument` for a body that does not seem to end.
 */
export async function readWhole(client: MemoryServerSession): Promise<Response> {
  let response: Response;
  try {
    response = await client.response;
  } catch {
    return Response.error();
  }
  if (response.body === null) return response;
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  const { status, statusText, headers } = response;
  const init = { status, statusText, headers };
  try {
    for await (const piece of response.body) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > MAX_BODY_BYTES) throw endless();
    }
  } catch (error) {
    if (bytes > MAX_BODY_BYTES) throw error;
    return new Response(cutBody(pieces, error), init);
  }
  return new Response(Buffer.concat(pieces), init);
}

function cutBody(pieces: Uint8Array[], error: unknown): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.error(error);
      else controller.enqueue(piece);
    },
  });
}

function endless(): CirqueError {
  const message = `the response body has more than ${MAX_BODY_BYTES} bytes: does it end?`;
  return CirqueError.internal("InvalidArgument", message);
}
