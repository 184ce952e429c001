import { HeaderMap, ResponseHead, stripHopByHop } from "@cirque/http";
import { CirqueError } from "../errors/cirque-error.ts";
import type { ServerSession } from "../session/server-session.ts";

/**
 * Whether a value is a response: with a `Response` of the run-time, or of a library that brings its own, as undici does.
 */
export function isResponse(value: unknown): value is Response {
  if (value instanceof Response) return true;
  return (
    typeof value === "object" &&
    value !== null &&
    Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === "Response"
  );
}

/**
 * Sends a `Response` of the fetch standard to the client: streamed, no faster than the client takes it. A body that is
 * there at once leaves with its length, in one write.
 * @param onHead Told of the head before it leaves.
 * @throws CirqueError when it cannot be sent, or not whole; what its stream failed with; or why the client left.
 */
export async function writeResponse(
  to: ServerSession,
  response: Response,
  onHead?: (head: ResponseHead) => void,
): Promise<void> {
  if (response.bodyUsed || response.body?.locked) {
    throw CirqueError.internal("InvalidArgument", "a Response can be sent once: make a new one for each request");
  }
  const head = new ResponseHead(response.status === 0 ? 500 : response.status, new HeaderMap(response.headers));
  if (response.statusText !== "") head.reason = response.statusText;
  stripHopByHop(head.headers);
  onHead?.(head);
  const reader = response.body?.getReader();
  if (reader === undefined || to.method === "HEAD") {
    reader?.cancel().catch(ignore);
    to.writeHead(head, true);
    checkWhole(to);
    return;
  }
  const client = new ClientWatch(to, reader);
  const read = (): ReturnType<typeof reader.read> => {
    const result = reader.read();
    // It may fail while the client is waited for; whoever awaits it later is told.
    result.catch(ignore);
    return result;
  };
  try {
    const first = await client.unlessGone(read());
    if (first.done) {
      to.writeHead(head, true);
      checkWhole(to);
      return;
    }
    let bytes = bytesOf(first.value);
    let pending = read();
    if ((await isDoneAtOnce(pending)) && !head.headers.has("content-length")) {
      head.headers.append("content-length", String(bytes.length));
    }
    client.throwIfGone();
    to.writeHead(head, false);
    for (;;) {
      if (!to.write(bytes)) await client.writable();
      else to.flush();
      const next = await client.unlessGone(pending);
      if (next.done) break;
      bytes = bytesOf(next.value);
      pending = read();
    }
    to.end();
    checkWhole(to);
  } catch (error) {
    reader.cancel(error).catch(ignore);
    throw error;
  } finally {
    to.observer = client.former;
  }
}

function bytesOf(piece: unknown): Buffer {
  if (piece instanceof Uint8Array) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  throw CirqueError.internal("InvalidArgument", "the body of a Response must be a stream of Uint8Array");
}

function checkWhole(to: ServerSession): void {
  if (to.responseEnded) return;
  throw CirqueError.internal("WriteError", "the body of a Response is shorter than its Content-Length");
}

/** Whether a read finds the end without waiting for anything but the turn of the event loop. */
async function isDoneAtOnce(read: Promise<{ readonly done: boolean }>): Promise<boolean> {
  let done = false;
  read.then((result) => {
    done = result.done;
  }, ignore);
  await new Promise<void>((resolve) => setImmediate(resolve));
  return done;
}

/** Waits for a client that is slow, and lets go of the body when the client leaves. */
class ClientWatch {
  readonly former: ServerSession["observer"];
  #resolve: (() => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  #error: Error | undefined;

  constructor(session: ServerSession, body: ReadableStreamDefaultReader<unknown>) {
    const former = session.observer;
    this.former = former;
    session.observer = {
      onWritable: () => this.#resolve?.(),
      onAbort: (error) => {
        this.#error = error;
        this.#reject?.(error);
        // A pending read ends with it.
        body.cancel(error).catch(ignore);
        former?.onAbort(error);
      },
    };
  }

  throwIfGone(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  async unlessGone<T>(read: Promise<T>): Promise<T> {
    const result = await read;
    this.throwIfGone();
    return result;
  }

  /** Resolves when the client takes more. */
  writable(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error);
        return;
      }
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }
}

function ignore(): void {}
