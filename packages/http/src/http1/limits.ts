/** What a parser takes before it refuses. All sizes in bytes. */
export interface ParserLimits {
  /** All field lines together, the request or status line and the empty line with them. Default 64 KiB; beyond it: 431. */
  readonly headBytes: number;
  /** One field line, its CRLF included. Default 32 KiB; beyond it: 431. */
  readonly fieldBytes: number;
  /** Number of field lines, of a head and of a trailer section each. Default 128; beyond it: 431. */
  readonly fields: number;
  /** The request target, or the status line of a response. Default 16 KiB; beyond it: 414. */
  readonly targetBytes: number;
  /** The size line of one chunk, its CRLF included. Default 4 KiB; beyond it: 413. */
  readonly chunkExtensionBytes: number;
  /** All chunk extensions of a body together. Default 16 KiB; beyond it: 413. */
  readonly bodyExtensionBytes: number;
  /** The trailer section, the empty line included. Default 16 KiB; beyond it: 431. */
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

/**
 * The given limits, and the defaults for those that are missing or undefined.
 * @throws RangeError for a limit that is not a whole number, or below 1: such a limit would bound nothing, or everything.
 */
export function completeLimits(limits: Partial<ParserLimits>): ParserLimits {
  const complete = {} as Record<keyof ParserLimits, number>;
  for (const name of LIMIT_NAMES) {
    const limit = limits[name] ?? DEFAULT_LIMITS[name];
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new RangeError(`The limit ${name} is ${limit}; it has to be a whole number, at least 1`);
    }
    complete[name] = limit;
  }
  return complete;
}

const LIMIT_NAMES = Object.keys(DEFAULT_LIMITS) as readonly (keyof ParserLimits)[];
