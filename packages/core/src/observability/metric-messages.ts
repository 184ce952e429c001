import { z } from "zod";
import type { Labels } from "./metric.ts";
import type { MetricKind } from "./metric-family.ts";

/** What the main thread sends: it wants what is not in the slots. There is one question, and one answer to it. */
export type MetricRequest = "read";

/** What another thread says of its metrics. */
export type MetricMessage =
  /** New memory for slots; later messages name it by `chunk`. */
  | { readonly type: "chunk"; readonly chunk: number; readonly buffer: SharedArrayBuffer }
  | {
      readonly type: "series";
      readonly name: string;
      readonly kind: MetricKind;
      readonly help: string;
      readonly labels: Labels;
      readonly bounds: readonly number[];
      readonly chunk: number;
      /** The position of its first slot in the chunk. */
      readonly first: number;
    }
  /** A gauge whose value has to be asked for. */
  | {
      readonly type: "source";
      readonly source: number;
      readonly name: string;
      readonly help: string;
      readonly labels: Labels;
    }
  | { readonly type: "sourceRemoved"; readonly source: number }
  /** The answer: the values by source. */
  | { readonly type: "values"; readonly values: ReadonlyMap<number, number>; readonly runtime: RuntimeFacts };

/** What a thread tells of its own runtime. */
export interface RuntimeFacts {
  /** The share of time that the event loop was busy, since it was last asked for: 0 to 1. */
  readonly utilization: number;
  /** How late timers fired since then, in seconds: the median. */
  readonly delayP50: number;
  /** The 99th percentile. */
  readonly delayP99: number;
  readonly delayMax: number;
  readonly heapUsedBytes: number;
}

/** What was received, or undefined when it is malformed: a page must not fail for it, though it is our own code's. */
export function parseMetricMessage(received: unknown): MetricMessage | undefined {
  return metricMessage.safeParse(received).data;
}

const index = z.int().nonnegative();
const labels = z.record(z.string(), z.string());
/** Also what is infinite or not a number. */
const anyNumber = z.custom<number>((value) => typeof value === "number");

const metricMessage: z.ZodType<MetricMessage> = z.discriminatedUnion("type", [
  z.object({ type: z.literal("chunk"), chunk: index, buffer: z.instanceof(SharedArrayBuffer) }),
  z.object({
    type: z.literal("series"),
    name: z.string(),
    kind: z.enum(["counter", "gauge", "histogram"]),
    help: z.string(),
    labels,
    bounds: z.array(z.number()),
    chunk: index,
    first: index,
  }),
  z.object({ type: z.literal("source"), source: index, name: z.string(), help: z.string(), labels }),
  z.object({ type: z.literal("sourceRemoved"), source: index }),
  z.object({
    type: z.literal("values"),
    values: z.map(index, anyNumber),
    runtime: z.object({
      utilization: anyNumber,
      delayP50: anyNumber,
      delayP99: anyNumber,
      delayMax: anyNumber,
      heapUsedBytes: anyNumber,
    }),
  }),
]);
