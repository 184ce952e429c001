import type { ServerSession } from "@cirque/core";
import { HeaderMap, ResponseHead, stripHopByHop } from "@cirque/http";
import type { Session } from "../session.ts";

/**
 * Sends a `Response` of the fetch standard to the client: streamed, no faster than the client takes it. A body that is
 * there at once leaves with its length, in one write.
 */
export async function respond(to: ServerSession, session: Session, response: Response): Promise<void> {
  const head = new ResponseHead(response.status === 0 ? 500 : response.status, new HeaderMap(response.headers));
  if (response.statusText !== "") head.reason = response.statusText;
  stripHopByHop(head.headers);
  session.response = head;
  const reader = response.body?.getReader();
  if (reader === undefined || to.request.method === "HEAD") {
    to.writeHead(head, true);
    await reader?.cancel();
    return;
  }
  const writable = new Writability(to);
  try {
    const first = await reader.read();
    if (first.done) {
      to.writeHead(head, true);
      return;
    }
    let pending = reader.read();
    if ((await isDoneAtOnce(pending)) && !head.headers.has("content-length")) {
      head.headers.append("content-length", String(first.value.byteLength));
    }
    to.writeHead(head, false);
    for (let { value } = first; ; pending = reader.read()) {
      if (!to.write(Buffer.from(value.buffer, value.byteOffset, value.byteLength))) await writable.again();
      else to.flush();
      const next = await pending;
      if (next.done) break;
      value = next.value;
    }
    to.end();
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    to.observer = writable.former;
  }
}

/** Whether a read finds the end without waiting for anything but the turn of the event loop. */
async function isDoneAtOnce(read: Promise<{ readonly done: boolean }>): Promise<boolean> {
  let done = false;
  read.then(
    (result) => {
      done = result.done;
    },
    () => {},
  );
  await new Promise<void>((resolve) => setImmediate(resolve));
  return done;
}

/** Waits for a client that is slow. */
class Writability {
  readonly former: ServerSession["observer"];
  #resolve: (() => void) | undefined;
  #reject: ((error: Error) => void) | undefined;
  #error: Error | undefined;

  constructor(session: ServerSession) {
    const former = session.observer;
    this.former = former;
    session.observer = {
      onWritable: () => this.#resolve?.(),
      onAbort: (error) => {
        this.#error = error;
        this.#reject?.(error);
        former?.onAbort(error);
      },
    };
  }

  again(): Promise<void> {
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
