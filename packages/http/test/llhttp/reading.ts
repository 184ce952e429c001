/** One message as a parser saw it: enough of it to tell whether two parsers frame a connection alike. */
export interface Message {
  /** Method and target of a request; status and reason of a response. */
  readonly start: string;
  /** Names and values, in order. */
  readonly fields: readonly string[];
  body: string;
  trailers: readonly string[];
  complete: boolean;
}

/** What a parser made of the bytes of a connection that then closes. */
export interface Reading {
  readonly messages: Message[];
  /** Why it went no further; undefined when nothing was wrong. */
  refusal: string | undefined;
}
