import { describe, expect, it } from "vitest";
import { missingResponses } from "./wrk-scenario.ts";

describe("missingResponses", () => {
  it("is 0 when the bytes are those of the requests", () => {
    expect(missingResponses({ requests: 10_000, bytes: 10_000_000 }, 1_000, 64)).toBe(0);
  });

  it("allows for what was under way at the end", () => {
    expect(missingResponses({ requests: 10, bytes: 10_000 + 63_000 }, 1_000, 64)).toBe(0);
  });

  it("shows bodies that were cut, and bodies that were too long", () => {
    expect(missingResponses({ requests: 10_000, bytes: 5_000_000 }, 1_000, 64)).toBe(5_000);
    expect(missingResponses({ requests: 10_000, bytes: 12_000_000 }, 1_000, 64)).toBe(2_000);
  });
});
