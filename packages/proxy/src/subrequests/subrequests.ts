import { CirqueError } from "@cirque/core";
import { MemoryServerSession } from "../memory/memory-server-session.ts";
import type { Session } from "../session.ts";
import type { ParentRequest, SubrequestLimits, SubrequestOptions } from "./subrequest.ts";
import { subrequestOf } from "./subrequest-head.ts";

/** Runs the exchange of a subrequest to its end. Never rejects. */
export type RunSubrequest = (downstream: MemoryServerSession, parent: ParentRequest) => Promise<void>;

/** Makes the subrequests of a proxy: requests of its own to itself, through all of its stages, in memory. */
export class Subrequests {
  readonly #run: RunSubrequest;
  readonly #limits: () => Required<SubrequestLimits>;
  readonly #background = new Set<MemoryServerSession>();
  #onIdle: (() => void) | undefined;

  constructor(run: RunSubrequest, limits: () => Required<SubrequestLimits>) {
    this.#run = run;
    this.#limits = limits;
  }

  /** How many are under way in the background. */
  get inBackground(): number {
    return this.#background.size;
  }

  /** Makes one that ends with `session`, and resolves with its response. */
  async attached(session: Session, request: Request | URL | string, options: SubrequestOptions): Promise<Response> {
    const { downstream, over } = this.#begin(session, request, options, false);
    session.attach(downstream);
    void over.then(() => session.detach(downstream));
    return downstream.response;
  }

  /** Makes one that nobody waits for. @returns false when there are as many as may be. */
  inTheBackground(session: Session, request: Request | URL | string, options: SubrequestOptions): boolean {
    if (this.#background.size >= this.#limits().maxBackground) return false;
    const { downstream, over } = this.#begin(session, request, options, true);
    this.#background.add(downstream);
    void drain(downstream);
    void over.then(() => {
      this.#background.delete(downstream);
      if (this.#background.size === 0) this.#onIdle?.();
    });
    return true;
  }

  /** Waits for those in the background; ends them when `force` aborts. */
  async drain(force: AbortSignal): Promise<void> {
    if (this.#background.size === 0) return;
    const end = (): void => {
      for (const downstream of this.#background) downstream.leave(force.reason);
    };
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    if (force.aborted) end();
    force.addEventListener("abort", end, { once: true });
    await idle;
    force.removeEventListener("abort", end);
  }

  #begin(
    session: Session,
    request: Request | URL | string,
    { data, signal }: SubrequestOptions,
    background: boolean,
  ): { readonly downstream: MemoryServerSession; readonly over: Promise<void> } {
    const depth = (session.parent?.depth ?? 0) + 1;
    const { maxDepth } = this.#limits();
    if (depth > maxDepth) {
      const message = `a subrequest of a subrequest, ${depth} deep: at most ${maxDepth} are allowed (\`subrequests.maxDepth\`)`;
      throw CirqueError.httpStatus(508, message, { source: "internal" });
    }
    const asked = subrequestOf(session, request);
    const downstream = new MemoryServerSession(asked.request);
    const signals = [signal, asked.signal].filter((one) => one !== undefined);
    const leave = (): void => downstream.leave(signals.find((one) => one.aborted)?.reason);
    for (const one of signals) one.addEventListener("abort", leave, { once: true });
    const over = this.#run(downstream, { session, depth, background, data }).finally(() => {
      for (const one of signals) one.removeEventListener("abort", leave);
    });
    if (signals.some((one) => one.aborted)) leave();
    return { downstream, over };
  }
}

/** Reads a response that nobody wants to its end, so that the exchange gets there. */
async function drain(downstream: MemoryServerSession): Promise<void> {
  try {
    await (await downstream.response).body?.pipeTo(new WritableStream());
  } catch {
    // The exchange has logged what went wrong.
  }
}
