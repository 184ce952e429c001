import type { Duplex } from "node:stream";

/** Takes what the other end says, piece by piece. */
export interface HandshakeReader<T> {
  /**
   * @param received All that has come and was not consumed.
   * @returns What the handshake came to; undefined when more is needed. To throw is to end it.
   */
  read(received: Buffer): Step<T> | undefined;
}

/** One step of a handshake. */
export interface Step<T> {
  /** Bytes that belonged to this step. */
  readonly consumed: number;
  /** What to answer. */
  readonly send?: Buffer;
  /** Set when it is over: what comes behind belongs to whoever takes the stream over. */
  readonly result?: T;
}

/**
 * Talks with the other end of a stream until the reader has what it wants; then the stream is paused, and bytes that came
 * behind are back in it. Its owner destroys it when this rejects.
 * @throws What the reader throws; an error when the stream breaks or ends; the signal's reason when it is aborted.
 */
export function exchangeBytes<T>(
  stream: Duplex,
  first: Buffer | string,
  reader: HandshakeReader<T>,
  signal: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const stop = (): void => {
      signal.removeEventListener("abort", onAbort);
      stream.off("data", onData);
      stream.off("end", onEnd);
      stream.off("close", onEnd);
      stream.pause();
    };
    const fail = (error: unknown): void => {
      stop();
      // The owner destroys it; an error that comes until then is of no more interest.
      stream.off("error", fail);
      stream.on("error", ignore);
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason);
    const onEnd = (): void => fail(new Error("the connection was closed"));
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        for (let step = reader.read(received); step !== undefined; step = reader.read(received)) {
          received = received.subarray(step.consumed);
          if (step.send !== undefined) stream.write(step.send);
          if (step.result === undefined) continue;
          stop();
          stream.off("error", fail);
          if (received.length > 0) stream.unshift(received);
          resolve(step.result);
          return;
        }
      } catch (error) {
        fail(error);
      }
    };
    stream.on("error", fail);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort);
    stream.on("data", onData);
    stream.on("end", onEnd);
    stream.on("close", onEnd);
    if (typeof first === "string") stream.write(first, "latin1");
    else stream.write(first);
    stream.resume();
  });
}

function ignore(): void {}
