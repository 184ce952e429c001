import type { Backend } from "../backend.ts";

/** How the health of a backend is found out (`LB-25`). */
export interface HealthCheck<Ext = unknown> {
  /**
   * Returns, or resolves, when the backend is healthy; throws, or rejects, with the reason when it is not.
   *
   * @param signal Aborts at the deadline and when the server stops. A check that goes on all the same counts as failed
   *   and is waited for no longer, but should release its sockets.
   */
  check(backend: Backend<Ext>, signal: AbortSignal): Promise<void> | void;
  /** How many results in a row it takes to call an ill backend healthy (`success`) or a healthy one ill. At least 1. */
  healthThreshold(success: boolean): number;
  /** Told after a backend became healthy or ill. It is not waited for; what it throws is logged. */
  healthStatusChange?(backend: Backend<Ext>, healthy: boolean): Promise<void> | void;
  /** What log lines call the backend. Default: its address. */
  backendSummary?(backend: Backend<Ext>): string;
  /** How long one check may take, in milliseconds. Default: 5,000. */
  readonly timeoutMs?: number;
}
