import { describe, expect, it } from "vitest";
import { PublishedValues } from "./published-values.ts";

describe("PublishedValues", () => {
  it("tells listeners the last value that was kept, and those that follow", () => {
    const values = new PublishedValues(new Map([["a", 1]]));
    const heard: unknown[] = [];
    values.deliver("b", "not kept", false);
    values.listen("a", (value) => heard.push(value));
    values.listen("b", (value) => heard.push(value));
    values.deliver("a", 2, true);
    expect(heard).toEqual([1, 2]);
  });

  it("tells a service that got the key of another one nothing of what was for that", () => {
    const values = new PublishedValues();
    const former: unknown[] = [];
    const heard: unknown[] = [];
    values.listen("a", (value) => former.push(value));
    values.deliver("a", 1, true);
    values.forget("a");
    values.listen("a", (value) => heard.push(value));
    values.deliver("a", 2, true);
    expect([former, heard]).toEqual([[1], [2]]);
  });
});
