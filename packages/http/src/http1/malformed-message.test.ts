import { expect, it } from "vitest";
import { MalformedMessage, REFUSAL_REASONS } from "../index.ts";

it("a refusal names its reason, for logs, metrics and people", () => {
  const error = new MalformedMessage("bare-lf", "in the first line");
  expect(error).toMatchObject({ name: "MalformedMessage", reason: "bare-lf", message: "bare-lf: in the first line" });
});

it("each reason has the status that HTTP knows for it", () => {
  const statuses = Object.fromEntries(
    REFUSAL_REASONS.map((reason) => [reason, new MalformedMessage(reason, "").status]),
  );
  const others = Object.entries(statuses).filter(([, status]) => status !== 400);
  expect(Object.fromEntries(others)).toEqual({
    "unsupported-version": 505,
    "method-too-long": 501,
    "unsupported-transfer-coding": 501,
    "target-too-long": 414,
    "chunk-extension-too-large": 413,
    "field-too-large": 431,
    "head-too-large": 431,
    "too-many-fields": 431,
    "trailers-too-large": 431,
  });
  expect(Object.keys(statuses)).toHaveLength(36);
});
