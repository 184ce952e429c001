import type { BodyChunk } from "../../body-chunk.ts";
import { isPromise, type MaybePromise } from "../../maybe-promise.ts";
import type { BodyCoder } from "./body-coder.ts";

/** Codes a piece of a body, as a filter does; or takes the next output of the last piece, when there is more of it. */
export function codePiece(coder: BodyCoder, chunk: BodyChunk): MaybePromise<void> {
  const output = coder.more ? coder.pull() : coder.push(chunk.data, chunk.end);
  const take = (data: Buffer | undefined): void => {
    chunk.data = data;
    chunk.more = coder.more;
  };
  return isPromise(output) ? output.then(take) : take(output);
}
