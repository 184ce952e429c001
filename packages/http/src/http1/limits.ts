/** What a parser takes before it refuses. All sizes in bytes. */
export interface ParserLimits {
  /** All field lines together, and the request or status line with them. Default 64 KiB; beyond it: 431. */
  readonly headBytes: number;
  /** One field line. Default 32 KiB; beyond it: 431. */
  readonly fieldBytes: number;
  /** Number of field lines. Default 128; beyond it: 431. */
  readonly fields: number;
  /** The request target, or the status line of a response. Default 16 KiB; beyond it: 414. */
  readonly targetBytes: number;
  /** The size line of one chunk. Default 4 KiB; beyond it: 413. */
  readonly chunkExtensionBytes: number;
  /** All chunk extensions of a body together. Default 16 KiB; beyond it: 413. */
  readonly bodyExtensionBytes: number;
  /** The trailer section. Default 16 KiB; beyond it: 431. */
  readonly trailerBytes: number;
}

/** Safe for a server on the open internet; wide enough for what browsers and gateways send. */
export const DEFAULT_LIMITS: ParserLimits = {
  headBytes: 64 * 1024,
  fieldBytes: 32 * 1024,
  fields: 128,
  targetBytes: 16 * 1024,
  chunkExtensionBytes: 4 * 1024,
  bodyExtensionBytes: 16 * 1024,
  trailerBytes: 16 * 1024,
};
