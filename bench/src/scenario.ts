import type { ProxyUnderTest } from "./proxy-under-test.ts";
import type { Sample } from "./sample.ts";

/**
 * How a proxy is set up. `http` is HTTP/1.1 without TLS on both sides; `tcp` and `udp` pass bytes and datagrams on as
 * they are. Another mode is a word of one's own here, and a configuration of that name for each peer that can do it.
 */
export type Mode = "http" | "tcp" | "udp";

/** Something that not every proxy can do. */
export type Ability = "websocket";

/** The figure that a scenario is about. */
export type Figure = "cpuMicrosPerRequest" | "rssBytes" | "upstreamConnections";

/** One kind of load. Each is a file in `scenarios/`, listed in `scenarios/index.ts`. */
export interface Scenario {
  /** Name on the command line, in kebab case. */
  readonly name: string;
  /** One line that says what is sent, and what the figure means. */
  readonly summary: string;
  readonly mode: Mode;
  /** The numbers of workers it is measured with; a proxy with another number is left out. Default: 1 alone. */
  readonly workers?: readonly number[];
  /** Abilities that a proxy needs, else it is left out. */
  readonly needs?: readonly Ability[];
  /** The program in `origins/` that answers, without its ending. */
  readonly origin: "http1" | "udp-echo";
  /** The figure to compare. */
  readonly figure: Figure;
  /** Puts the load on a proxy that has just been started, and measures it. */
  measure(proxy: ProxyUnderTest): Promise<Sample>;
}
