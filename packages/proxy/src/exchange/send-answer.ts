import { type BodySink, type BodySource, CirqueError, writeResponse } from "@cirque/core";
import { HeaderMap, ResponseHead, stripHopByHop } from "@cirque/http";
import { isPromise } from "../maybe-promise.ts";
import type { ModuleChain } from "../modules/module-chain.ts";
import { answerStages } from "./download-stage.ts";
import type { Exchange } from "./exchange.ts";

/** Sends the answer of a callback or a module to the client, through the response methods of the modules. */
export function sendAnswer<Ctx>(exchange: Exchange<Ctx>, answer: Response): Promise<void> {
  const { downstream, session } = exchange;
  if (session.modules === undefined) return writeResponse(downstream, answer, session.noteResponse);
  return sendThroughModules(exchange, answer, session.modules);
}

async function sendThroughModules<Ctx>(exchange: Exchange<Ctx>, answer: Response, modules: ModuleChain): Promise<void> {
  if (answer.bodyUsed || answer.body?.locked) {
    throw CirqueError.internal("InvalidArgument", "a Response can be sent once: make a new one for each request");
  }
  const { downstream, session } = exchange;
  const head = new ResponseHead(answer.status === 0 ? 500 : answer.status, new HeaderMap(answer.headers));
  if (answer.statusText !== "") head.reason = answer.statusText;
  stripHopByHop(head.headers);
  const body = new AnswerBody(answer, session.signal);
  try {
    const length = await body.open();
    const hasLength = head.headers.has("content-length") || head.status === 204 || head.status === 304;
    if (length !== undefined && !hasLength) head.headers.append("content-length", String(length));
    const passed = exchange.inTime(modules.responseFilter(head));
    if (isPromise(passed)) await passed;
    session.response = head;
    if (downstream.method === "HEAD") downstream.writeHead(head, true);
    else await exchange.carryBody(body, head, answerStages(exchange, modules));
  } finally {
    // Of a body that was read to its end, nothing is left to be let go of.
    body.cancel();
  }
}

/** The body of an answer, read no faster than the client takes it. */
class AnswerBody implements BodySource {
  readonly #reader: ReadableStreamDefaultReader<unknown> | undefined;
  readonly #signal: AbortSignal;
  /** What was read ahead, to see whether it is all. */
  readonly #ahead: ReturnType<ReadableStreamDefaultReader<unknown>["read"]>[] = [];
  #sink: BodySink | undefined;
  #paused = false;
  #pumping = false;
  #ended = false;

  constructor(answer: Response, signal: AbortSignal) {
    this.#reader = answer.body?.getReader();
    this.#signal = signal;
    // A read that is pending ends with it.
    signal.addEventListener("abort", () => this.cancel(), { once: true });
    if (signal.aborted) this.cancel();
  }

  /**
   * Waits for the first piece, so that it leaves with the head. Says how long the body is, if all of it is there.
   * @throws what the body failed with, or why the client left.
   */
  async open(): Promise<number | undefined> {
    if (this.#reader === undefined) return 0;
    const first = this.#read(this.#reader);
    this.#ahead.push(first);
    const { done, value } = await first;
    this.#signal.throwIfAborted();
    if (done) return 0;
    const second = this.#read(this.#reader);
    this.#ahead.push(second);
    return (await isDoneAtOnce(second)) ? bytesOf(value).length : undefined;
  }

  readBody(sink: BodySink): void {
    this.#sink = sink;
    this.#paused = false;
    void this.#pump(sink);
  }

  pauseBody(): void {
    this.#paused = true;
  }

  resumeBody(): void {
    if (!this.#paused || this.#sink === undefined) return;
    this.#paused = false;
    void this.#pump(this.#sink);
  }

  /** Lets go of the body. */
  cancel(): void {
    this.#ended = true;
    this.#reader?.cancel(this.#signal.reason).catch(ignore);
  }

  async #pump(sink: BodySink): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (!this.#paused && !this.#ended) {
        const next = this.#reader && (await (this.#ahead.shift() ?? this.#read(this.#reader)));
        this.#signal.throwIfAborted();
        if (next === undefined || next.done) {
          this.#ended = true;
          sink.onEnd(undefined);
        } else sink.onData(bytesOf(next.value));
      }
    } catch (error) {
      this.#ended = true;
      sink.onError(error instanceof CirqueError ? error : bodyFailed(error));
    } finally {
      this.#pumping = false;
    }
  }

  #read(reader: ReadableStreamDefaultReader<unknown>): ReturnType<typeof reader.read> {
    const result = reader.read();
    // Whoever awaits it later is told of a failure.
    result.catch(ignore);
    return result;
  }
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

function bytesOf(piece: unknown): Buffer {
  if (piece instanceof Uint8Array) return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
  throw CirqueError.internal("InvalidArgument", "the body of a Response must be a stream of Uint8Array");
}

function bodyFailed(cause: unknown): CirqueError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return CirqueError.internal("InternalError", `the body of a Response failed: ${message}`, { cause });
}

function ignore(): void {}
