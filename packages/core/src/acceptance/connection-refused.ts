/**
 * Why a connection did not come to its handler, for metrics and logs: `max-connections`, `max-connections-per-client`,
 * `file-descriptors`, `filter`, `filter-error`, `filter-timeout`, `proxy-header-…`, `pre-tls`, `pre-tls-error`,
 * `pre-tls-timeout`, `tls-…`, `client-gone`, `stopped`.
 */
export class ConnectionRefused extends Error {
  readonly reason: string;

  /** What a callback of the user threw; a refusal stays what it is. */
  static because(reason: string, message: string, cause: unknown): ConnectionRefused {
    return cause instanceof ConnectionRefused ? cause : new ConnectionRefused(reason, message, { cause });
  }

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
