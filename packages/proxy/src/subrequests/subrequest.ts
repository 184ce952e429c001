import { CirqueError } from "@cirque/core";
import type { Session } from "../session.ts";

/** Settings of one subrequest. */
export interface SubrequestOptions {
  /** For the callbacks that see the subrequest: `session.parent.data` (SUB-04). */
  readonly data?: unknown;
  /** Gives the subrequest up. One that is attached ends with the request that it is for in any case. */
  readonly signal?: AbortSignal;
}

/** The request that a subrequest is for (SUB-06). */
export interface ParentRequest {
  readonly session: Session;
  /** 1 for the subrequest of a client's request, 2 for a subrequest of that, and so on. */
  readonly depth: number;
  /** Whether nobody waits for the response. */
  readonly background: boolean;
  /** What the callback that made the subrequest gave to it. */
  readonly data: unknown;
}

/** How many subrequests a proxy may have. */
export interface SubrequestLimits {
  /** How deep subrequests of subrequests may go; the next one fails with 508. Default 4. */
  readonly maxDepth?: number;
  /** Subrequests in the background at a time; the next one is not made. Default 100. */
  readonly maxBackground?: number;
}

/**
 * The limits that hold, defaults included.
 *
 * @throws CirqueError `InvalidArgument` for one that is no count.
 */
export function subrequestLimits(options: { readonly subrequests?: SubrequestLimits }): Required<SubrequestLimits> {
  const { maxDepth = 4, maxBackground = 100 } = options.subrequests ?? {};
  for (const [limit, count] of Object.entries({ maxDepth, maxBackground })) {
    if (count >= 0) continue;
    throw CirqueError.internal("InvalidArgument", `subrequests.${limit} is ${count}: a count is expected`);
  }
  return { maxDepth, maxBackground };
}
