import type { Backend } from "../backend.ts";

/** What a request is told apart by: a client address, a path, a session. Some selections take no notice of it. */
export type SelectionKey = string | Uint8Array;

/**
 * An order of candidates for each request (`LB-21`). A balancer takes the first candidate that is fit, so where a
 * request goes when a backend is ill belongs to the algorithm, and the algorithm knows nothing of health.
 *
 * Candidates are positions in the list of backends that the selection was built from: numbers, so that the usual case,
 * in which the first candidate is fit, allocates nothing.
 */
export interface BackendSelection {
  /** The first candidate for `key`, or -1 when there is none. */
  first(key: SelectionKey | undefined): number;
  /**
   * The further candidates, best first; asked for right after `first` returned one that was not fit. May repeat
   * candidates and may be endless: see `uniqueCandidates`. Whoever stops reading early closes it (`for of` does), and
   * has then taken the last candidate read.
   *
   * @param first What `first(key)` returned.
   */
  others(key: SelectionKey | undefined, first: number): Iterable<number>;
}

/** Makes a {@link BackendSelection} from a set of backends. A class with a static `build` is one. */
export interface SelectionBuilder {
  /**
   * @param backends The set; it does not change. A changed set is built anew.
   * @param previous The selection that the new one replaces, for those that carry something over.
   */
  build(backends: readonly Backend[], previous?: BackendSelection): BackendSelection;
}
