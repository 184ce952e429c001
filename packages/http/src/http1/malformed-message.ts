/**
 * Why a message was refused, and the status that says so to a client. Logs and metrics carry the reason.
 * Sources: RFC 9112 and 9113 (framing), RFC 9110 (fields), RFC 6585 (431).
 */
const REFUSALS = {
  "bare-cr": 400,
  "bare-lf": 400,
  "blank-lines": 400,
  "invalid-request-line": 400,
  "invalid-method": 400,
  "method-too-long": 501,
  "invalid-target": 400,
  "invalid-version": 400,
  "unsupported-version": 505,
  "target-too-long": 414,
  "invalid-status-line": 400,
  "invalid-field-name": 400,
  "invalid-field-value": 400,
  "missing-colon": 400,
  "obsolete-line-folding": 400,
  "field-too-large": 431,
  "head-too-large": 431,
  "too-many-fields": 431,
  "missing-host": 400,
  "repeated-host": 400,
  "invalid-host": 400,
  "authority-mismatch": 400,
  "content-length-and-transfer-encoding": 400,
  "repeated-content-length": 400,
  "invalid-content-length": 400,
  "invalid-transfer-encoding": 400,
  "unsupported-transfer-coding": 501,
  "transfer-encoding-in-http-1.0": 400,
  "invalid-chunk-size": 400,
  "invalid-chunk-extension": 400,
  "chunk-extension-too-large": 413,
  "invalid-chunk-end": 400,
  "trailers-too-large": 431,
  "premature-end": 400,
  "invalid-pseudo-field": 400,
  "connection-specific-field": 400,
} as const;

/** The name of a refusal, as in logs and in the label `reason` of metrics. */
export type RefusalReason = keyof typeof REFUSALS;

/** Every reason. */
export const REFUSAL_REASONS: readonly RefusalReason[] = Object.keys(REFUSALS) as RefusalReason[];

/** A message that breaks the protocol or a limit: its connection is of no further use (promise P1, P13). */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
  readonly reason: RefusalReason;
  /** The status to refuse a request with. A response that breaks the same rule is a 502. */
  readonly status: number;

  constructor(reason: RefusalReason, detail: string) {
    super(`${reason}: ${detail}`);
    this.reason = reason;
    this.status = REFUSALS[reason];
  }
}
