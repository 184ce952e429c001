import { CirqueError, type HttpConnectorOptions, type HttpPeer } from "@cirque/core";
import type { RequestHead } from "@cirque/http";
import type { BodyChunk } from "../../body-chunk.ts";
import { upstreamRequest } from "../../exchange/upstream-request.ts";
import type { Session } from "../../session.ts";
import type { HttpModule, HttpModuleFactory, ModuleOptions } from "../http-module.ts";
import { CopySender } from "./copy-sender.ts";

/** Settings of {@link mirror}. */
export interface MirrorOptions extends ModuleOptions {
  /** Who gets the copies. A function chooses for each request; undefined is no copy. */
  readonly peer: HttpPeer | ((session: Session) => HttpPeer | undefined);
  /** How many of the requests are copied, 0 to 100. Default 100. */
  readonly percentage?: number;
  /** Which requests are to be thought of at all. Default: all. */
  readonly when?: (session: Session) => boolean;
  /** Changes a copy before it leaves, to take out credentials for instance. */
  readonly change?: (copy: RequestHead, session: Session) => void;
  /** Copies that are held or under way at a time; those beyond are dropped. Default 100. */
  readonly maxConcurrent?: number;
  /** Bytes of a request body; the copy of one that is longer is dropped. Default 64 KiB. */
  readonly maxBodyBytes?: number;
  /** How long a copy may take, from its connection to the end of the response. Default 5000. */
  readonly timeoutMs?: number;
  /** The pool of connections to the peers of copies, which is one of its own. */
  readonly connector?: HttpConnectorOptions;
}

/** What {@link mirror} makes. */
export interface MirrorModule extends HttpModuleFactory<HttpModule> {
  /** How many copies are held or under way. */
  readonly inFlight: number;
  /** Drops the copies that are under way, and closes connections. The proxy calls it when it stops. */
  close(): void;
}

/**
 * Sends copies of requests to another peer, and drops its responses. Requests never wait for their copies, and never fail
 * with them. A copy is what the modules before this one made of the request, with the whole body; it leaves when that has
 * been read. Requests that a module answers are not copied.
 *
 * @throws CirqueError `InvalidArgument` for a setting that is out of its range.
 * @example
 * const modules = [mirror({ peer: new HttpPeer("10.0.0.9:80"), percentage: 5, when: ({ request }) => request.method === "GET" })];
 */
export function mirror(options: MirrorOptions): MirrorModule {
  const { name = "mirror", order = -1000, percentage = 100, maxConcurrent = 100, maxBodyBytes = 64 * 1024 } = options;
  const { timeoutMs = 5_000, connector } = options;
  check("percentage", percentage, 0, 100);
  check("maxConcurrent", maxConcurrent, 1, Number.MAX_SAFE_INTEGER);
  check("maxBodyBytes", maxBodyBytes, 0, Number.MAX_SAFE_INTEGER);
  check("timeoutMs", timeoutMs, 1, 2 ** 31 - 1);
  const sender = new CopySender(name, maxConcurrent, timeoutMs, connector);
  return {
    name,
    order,
    create: () => new MirroredRequest(sender, { ...options, percentage, maxBodyBytes }),
    start: (context) => sender.start(context),
    close: () => sender.close(),
    get inFlight() {
      return sender.inFlight;
    },
  };
}

type CopySettings = MirrorOptions & { readonly percentage: number; readonly maxBodyBytes: number };

/** The copy of one request, while its body is read. */
class MirroredRequest implements HttpModule {
  readonly #sender: CopySender;
  readonly #options: CopySettings;
  /** The copy that waits for its body. */
  #waiting: { readonly head: RequestHead; readonly peer: HttpPeer } | undefined;
  #body: Buffer[] = [];
  #bytes = 0;
  requestBodyFilter?: (session: Session, chunk: BodyChunk) => void;

  constructor(sender: CopySender, options: CopySettings) {
    this.#sender = sender;
    this.#options = options;
  }

  requestFilter(session: Session, request: RequestHead): void {
    try {
      this.#begin(session, request);
    } catch (error) {
      // A mistake here is not one of the request.
      this.#sender.failed(error);
    }
  }

  /** A body that never came whole: the client left, or nobody read it. */
  done(): void {
    if (this.#waiting !== undefined) this.#drop("incomplete");
  }

  #begin(session: Session, request: RequestHead): void {
    const { peer, percentage, when, change } = this.#options;
    if (when?.(session) === false || Math.random() * 100 >= percentage || request.method === "CONNECT") return;
    const to = typeof peer === "function" ? peer(session) : peer;
    if (to === undefined) return;
    const head = upstreamRequest(request, to, false);
    // The body is there when the copy leaves.
    head.headers.delete("expect");
    change?.(head, session);
    if (!this.#sender.reserve()) return;
    if (!session.hasRequestBody) {
      this.#sender.send(to, head, undefined);
      return;
    }
    this.#waiting = { head, peer: to };
    this.requestBodyFilter = (_session, chunk) => this.#collect(chunk);
  }

  #collect({ data, end }: BodyChunk): void {
    if (this.#waiting === undefined) return;
    if (data !== undefined && data.length > 0) {
      this.#bytes += data.length;
      if (this.#bytes > this.#options.maxBodyBytes) {
        this.#drop("too-large");
        return;
      }
      // The piece goes on, and whoever gets it may change it.
      this.#body.push(Buffer.from(data));
    }
    if (!end) return;
    const { head, peer } = this.#waiting;
    const body = Buffer.concat(this.#body);
    this.#forget();
    this.#sender.send(peer, head, body);
  }

  #drop(result: "incomplete" | "too-large"): void {
    this.#forget();
    this.#sender.drop(result);
  }

  #forget(): void {
    this.#waiting = undefined;
    this.#body = [];
  }
}

function check(option: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw CirqueError.internal("InvalidArgument", `${option} of a mirror is ${value}: ${least} to ${most} is expected`);
}
