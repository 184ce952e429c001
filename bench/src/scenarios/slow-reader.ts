import type { Scenario } from "../scenario.ts";
import { measureSlowTransfer } from "./slow-transfer.ts";

/** A client that reads much more slowly than the origin sends. */
export const slowReader: Scenario = {
  name: "slow-reader",
  summary: "an endless response that the client reads at about 1 MB/s; RSS is the highest growth",
  mode: "http",
  origin: "http1",
  figure: "rssBytes",
  measure: (proxy) => measureSlowTransfer("slow-reader", proxy),
};
