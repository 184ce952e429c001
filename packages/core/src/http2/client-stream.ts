import { type ClientHttp2Stream, constants } from "node:http2";
import { Duplex } from "node:stream";
import type { Http2ClientSession } from "./client-session.ts";

/**
 * Tells a session what happens on its stream. The listeners are the same functions for all streams: none is made for each
 * request.
 */
export function bindStream(stream: ClientHttp2Stream, session: Http2ClientSession): void {
  (stream as Bound)[SESSION] = session;
  stream.push = pushNotingTheEnd;
  stream.end = keepOpen;
  stream.on("headers", onHead);
  stream.on("response", onHead);
  stream.on("trailers", onTrailers);
  // Nothing flows before somebody wants it.
  stream.pause();
  stream.on("data", onData);
  stream.on("end", onEnd);
  stream.on("drain", onDrain);
  stream.on("error", onError);
  stream.on("close", onClose);
}

/** Ends the body of the request. */
export function endBody(stream: ClientHttp2Stream): void {
  endWritable.call(stream);
}

/**
 * Resets a stream, in a turn of its own: while `node:http2` works through what was received, it would send what waits of
 * the body first.
 */
export function cancelSoon(stream: ClientHttp2Stream): void {
  if (!stream.closed) setImmediate(cancel, stream);
}

function cancel(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

/**
 * `node:http2` ends the body of a stream before it resets it, for whatever reason: the origin would take a request that was
 * cut for a whole one. So only `endBody` ends it.
 */
function keepOpen(this: ClientHttp2Stream): ClientHttp2Stream {
  return this;
}

const endWritable: (this: ClientHttp2Stream) => void = Duplex.prototype.end;

const SESSION = Symbol("session");

type Bound = ClientHttp2Stream & { [SESSION]: Http2ClientSession };

/**
 * `node:http2` ends a stream that the peer has reset with NO_ERROR in the same way as one that it has ended: a response that
 * was cut would pass for a whole one. Only the reset has closed the stream by the time of its end.
 */
function pushNotingTheEnd(this: ClientHttp2Stream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed) (this as Bound)[SESSION].onPeerEnded();
  return push.call(this, chunk, encoding);
}

const { push } = Duplex.prototype;

function onHead(this: Bound, _headers: unknown, flags: number, raw: readonly string[]): void {
  this[SESSION].onHead(raw, flags);
}

function onTrailers(this: Bound, _headers: unknown, _flags: number, raw: readonly string[]): void {
  this[SESSION].onTrailers(raw);
}

function onData(this: Bound, chunk: Buffer): void {
  this[SESSION].onData(chunk);
}

function onEnd(this: Bound): void {
  this[SESSION].onEnd();
}

function onDrain(this: Bound): void {
  this[SESSION].onDrain();
}

function onError(this: Bound, error: Error): void {
  this[SESSION].onStreamError(error);
}

function onClose(this: Bound): void {
  this[SESSION].onStreamClosed(this.rstCode);
}
