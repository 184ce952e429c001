/** A piece of a body on its way through a filter: change `data`, or set it undefined to drop it. */
export interface BodyChunk {
  /** The bytes; undefined when there are none: at the end, or because a filter dropped them. */
  data: Buffer | undefined;
  /**
   * Whether the body ends here. The last call of a filter has this set, usually without data. A filter of a response may
   * set it, to end the body before the origin does: the rest is not read.
   */
  end: boolean;
}
