import {
  CirqueError,
  type ClientSession,
  HttpConnector,
  type HttpConnectorOptions,
  type HttpPeer,
  type Logger,
  type MetricsRegistry,
  silentLogger,
} from "@cirque/core";
import type { RequestHead } from "@cirque/http";
import type { ModuleContext } from "../http-module.ts";

/** What became of a copy. */
export type CopyResult = "sent" | "failed" | "busy" | "too-large" | "incomplete";

/** Sends copies of requests, so many at a time, and drops what comes back. */
export class CopySender {
  readonly #name: string;
  readonly #maxConcurrent: number;
  readonly #timeoutMs: number;
  readonly #connector: HttpConnector;
  readonly #underWay = new Set<AbortController>();
  #reserved = 0;
  #logger: Logger = silentLogger;
  #metrics: MetricsRegistry | undefined;

  constructor(name: string, maxConcurrent: number, timeoutMs: number, connector: HttpConnectorOptions | undefined) {
    this.#name = name;
    this.#maxConcurrent = maxConcurrent;
    this.#timeoutMs = timeoutMs;
    this.#connector = new HttpConnector(connector);
  }

  get inFlight(): number {
    return this.#reserved;
  }

  start({ logger, metrics }: ModuleContext): void {
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Takes a place for a copy, if there is one. Every place taken ends in `send` or `drop`. */
  reserve(): boolean {
    if (this.#reserved < this.#maxConcurrent) {
      this.#reserved++;
      return true;
    }
    this.#count("busy");
    return false;
  }

  /** Sends a copy in the place that was taken for it. Returns at once, and never throws. */
  send(peer: HttpPeer, head: RequestHead, body: Buffer | undefined): void {
    void this.#send(peer, head, body);
  }

  /** Gives up a copy in the place that was taken for it. */
  drop(result: CopyResult): void {
    this.#reserved--;
    this.#count(result);
  }

  /** A copy could not be made, or sent. */
  failed(error: unknown): void {
    this.#count("failed");
    this.#logger.warn({ err: error, module: this.#name }, "the copy of a request could not be sent");
  }

  close(): void {
    for (const controller of this.#underWay) controller.abort(new CirqueError("ConnectionClosed", "the proxy stops"));
    this.#connector.close();
  }

  async #send(peer: HttpPeer, head: RequestHead, body: Buffer | undefined): Promise<void> {
    const ending = new AbortController();
    this.#underWay.add(ending);
    const message = `${peer} had not answered the copy of a request after ${this.#timeoutMs} ms`;
    const timer = setTimeout(() => ending.abort(CirqueError.upstream("ReadTimedout", message)), this.#timeoutMs);
    try {
      await this.#exchange(peer, head, body, ending.signal);
      this.#count("sent");
    } catch (error) {
      this.failed(error);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(ending);
      this.#reserved--;
    }
  }

  async #exchange(peer: HttpPeer, head: RequestHead, body: Buffer | undefined, signal: AbortSignal): Promise<void> {
    const session = this.#connector.keptSession(peer) ?? (await this.#connector.newSession(peer, false, signal));
    const abort = (): void => session.abort(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      if (body === undefined) head.headers.delete("content-length");
      else head.headers.set("content-length", String(body.length));
      session.writeHead(head, body !== undefined);
      if (body !== undefined) {
        session.write(body);
        session.end();
      }
      session.flush();
      let response = await session.readHead();
      while (response.informational) response = await session.readHead();
      await drained(session);
    } catch (error) {
      session.abort(error instanceof CirqueError ? error : new CirqueError("InternalError", "a copy failed"));
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#connector.release(session, peer);
    }
  }

  #count(result: CopyResult): void {
    const labels = { module: this.#name, result };
    this.#metrics
      ?.counter("cirque_mirrored_requests_total", "Copies of requests, by what became of them", labels)
      .inc();
  }
}

/** Reads a response to its end, and drops it. */
function drained(session: ClientSession): Promise<void> {
  return new Promise((resolve, reject) => session.readBody({ onData() {}, onEnd: () => resolve(), onError: reject }));
}
