/** A piece of a body on its way through a filter: change `data`, or set it undefined to drop it. */
export interface BodyChunk {
  /** The bytes; undefined when there are none: at the end, or because a filter dropped them. */
  data: Buffer | undefined;
  /**
   * Whether the body ends here. The last call of a filter has this set, usually without data. A filter of a response may
   * set it, to end the body before the origin does: the rest is not read.
   */
  end: boolean;
  /**
   * Set by a filter that has more to give for this piece. Once what it gave has been taken, it is called again, with no
   * data and with the same `end`; until then, no other piece comes. So a piece that expands is never in
   * memory whole. The callback `requestBodyFilter` has to give all of it at once.
   */
  more?: boolean;
}
