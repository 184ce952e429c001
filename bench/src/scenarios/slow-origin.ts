import type { Scenario } from "../scenario.ts";
import { measureSlowTransfer } from "./slow-transfer.ts";

/** An origin that reads much more slowly than the client sends. */
export const slowOrigin: Scenario = {
  name: "slow-origin",
  summary: "an upload of 1 GiB that the origin reads at about 3 MB/s; RSS is the highest growth",
  mode: "http",
  origin: "http1",
  figure: "rssBytes",
  measure: (proxy) => measureSlowTransfer("large-upload", proxy),
};
