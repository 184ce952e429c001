import { constants, type ServerHttp2Stream } from "node:http2";

/*
 * Node takes a stream from its tables when it destroys it; with those that are closed already, and whose reset has not
 * been given to nghttp2 yet, it does not do that either. Then nghttp2 goes on to ask for the data of the stream, gets
 * nothing, and sends empty frames without end: the process hangs, and its memory grows until it is killed. So no stream is
 * left in that state: the reset is given to nghttp2 in the call that closes the stream, and Node, which destroys a stream
 * that is closed and has nothing more to write and to read, is not let do that before nghttp2 has let go of it.
 */

/** Resets a stream with a code that is not NO_ERROR. */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  // In a call from nghttp2, Node would put a CANCEL off by itself.
  if (code === constants.NGHTTP2_CANCEL) setImmediate(closeWith, stream, code);
  else closeWith(stream, code);
}

/** Ends the request of a stream whose response is written, when that has left (RFC 9113, 8.1); what still comes is dropped. */
export function leaveUnread(stream: ServerHttp2Stream): void {
  // A stream that is paused would never be over.
  stream.resume();
  if (stream.writableFinished) setImmediate(closeWhole, stream);
  else stream.once("finish", () => setImmediate(closeWhole, stream));
}

/** Whether a stream was closed here, and nghttp2 has let go of it without telling: then it may be destroyed. */
export function isForgotten(stream: ServerHttp2Stream): boolean {
  return stream.closed && !stream.destroyed && stream.state.state === constants.NGHTTP2_STREAM_STATE_IDLE;
}

function closeWith(stream: ServerHttp2Stream, code: number): void {
  if (stream.closed || stream.destroyed) return;
  Object.defineProperty(stream, "readable", { value: true, configurable: true });
  stream.close(code);
}

function closeWhole(stream: ServerHttp2Stream): void {
  // Where the client has ended its request meanwhile, the stream is over by itself.
  if (!stream.closed && !stream.destroyed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
}
