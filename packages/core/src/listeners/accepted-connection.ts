import type { Endpoint } from "./endpoint.ts";

/** What is known of an accepted connection besides its bytes. */
export interface AcceptedConnection {
  /** Where it was accepted. */
  readonly endpoint: Endpoint;
}
