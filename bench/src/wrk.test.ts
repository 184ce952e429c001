import { describe, expect, it } from "vitest";
import { parseWrk } from "./wrk.ts";

const report =
  'cirque-bench {"requests":243576,"durationMicros":2001586,"bytes":269638632,"connectErrors":0,"readErrors":1,' +
  '"writeErrors":2,"statusErrors":3,"timeouts":4,"wrongResponses":5,"p50Micros":388.000,"p99Micros":2739.500}';
const output = `Running 2s test @ http://127.0.0.1:41287/bytes/1024
  1 threads and 64 connections
Requests/sec: 121691.50
${report}
`;

describe("parseWrk", () => {
  it("reads the line that the script prints, and no other", () => {
    expect(parseWrk(output)).toEqual({
      requests: 243_576,
      durationMicros: 2_001_586,
      bytes: 269_638_632,
      connectErrors: 0,
      readErrors: 1,
      writeErrors: 2,
      statusErrors: 3,
      timeouts: 4,
      wrongResponses: 5,
      p50Micros: 388,
      p99Micros: 2_739.5,
    });
  });

  it("refuses output without a report, and shows it", () => {
    expect(() => parseWrk("unable to connect to 127.0.0.1:1\n")).toThrow("unable to connect");
  });

  it("refuses a report that lacks a figure or is cut", () => {
    expect(() => parseWrk(output.replace('"timeouts":4,', ""))).toThrow("lacks timeouts");
    expect(() => parseWrk(output.replace('"bytes":269638632', '"bytes":null'))).toThrow("lacks bytes");
    expect(() => parseWrk(output.slice(0, -20))).toThrow(SyntaxError);
  });
});
