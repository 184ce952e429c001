/** What is wrong with a header of the PROXY protocol: a name for metrics. */
export type MalformedProxyHeaderReason =
  | "absent"
  | "too-long"
  | "bad-line"
  | "bad-version"
  | "bad-command"
  | "bad-family"
  | "bad-address"
  | "bad-record"
  | "bad-checksum"
  | "cut";

/** Thrown when bytes that have to be a header of the PROXY protocol are none. The connection cannot be used. */
export class MalformedProxyHeader extends Error {
  readonly reason: MalformedProxyHeaderReason;

  constructor(reason: MalformedProxyHeaderReason, message: string) {
    super(message);
    this.reason = reason;
  }
}
