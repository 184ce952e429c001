import type { Duplex } from "node:stream";
import type { Cancellation } from "./cancellation.ts";

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
 * Talks with the other end of a stream until the reader has what it wants. Bytes that came behind that are back in the
 * stream then. Its owner destroys it when this rejects.
 * @throws What the reader throws; an error when the stream breaks or ends; the reason when it is cancelled.
 */
export function exchangeBytes<T>(
  stream: Duplex,
  first: Buffer | string,
  reader: HandshakeReader<T>,
  cancellation: Cancellation,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    let over = false;
    const stop = (): void => {
      over = true;
      cancellation.onCancel = undefined;
      stream.off("readable", onReadable);
      stream.off("end", onEnd);
      stream.off("close", onEnd);
      stream.off("error", fail);
    };
    const fail = (error: unknown): void => {
      stop();
      // The owner destroys it; an error that comes until then is of no more interest.
      stream.on("error", ignore);
      reject(error);
    };
    const onEnd = (): void => fail(new Error("the connection was closed"));
    const take = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      for (let step = reader.read(received); step !== undefined; step = reader.read(received)) {
        received = received.subarray(step.consumed);
        if (step.send !== undefined) stream.write(step.send);
        if (step.result === undefined) continue;
        stop();
        if (received.length > 0) stream.unshift(received);
        resolve(step.result);
        return;
      }
    };
    // Not by `data`: to take that listener away again would leave the stream paused for whoever gets it.
    const onReadable = (): void => {
      try {
        while (!over) {
          const chunk: Buffer | null = stream.read();
          if (chunk === null) return;
          take(chunk);
        }
      } catch (error) {
        fail(error);
      }
    };
    stream.on("error", fail);
    if (cancellation.cancelled) {
      fail(cancellation.reason);
      return;
    }
    cancellation.onCancel = fail;
    stream.on("readable", onReadable);
    stream.on("end", onEnd);
    stream.on("close", onEnd);
    if (typeof first === "string") stream.write(first, "latin1");
    else stream.write(first);
  });
}

function ignore(): void {}
