import { describe, expect, it } from "vitest";
import { DELIBERATE_DIFFERENCES, disagreement } from "./comparison.ts";
import type { Message, Reading } from "./reading.ts";

function message(changes: Partial<Message> = {}): Message {
  return { start: "GET / HTTP/1.1", fields: ["Host", "a"], body: "b", trailers: [], complete: true, ...changes };
}

function reading(refusal: string | undefined, ...messages: Message[]): Reading {
  return { messages, refusal };
}

describe("the comparison with llhttp finds", () => {
  it.each<readonly [name: string, ours: Reading, theirs: Reading, found: RegExp]>([
    ["a head only we take", reading(undefined, message()), reading("HPE_X"), /accept the head of message 0.*HPE_X/],
    [
      "a message only we take",
      reading(undefined, message(), message()),
      reading(undefined, message()),
      /message 1.*waits/,
    ],
    [
      "a message only we end",
      reading(undefined, message()),
      reading("HPE_X", message({ complete: false })),
      /for us only/,
    ],
    [
      "a message only llhttp ends",
      reading(undefined, message({ complete: false })),
      reading(undefined, message()),
      /for llhttp only/,
    ],
    [
      "a message only llhttp sees",
      reading(undefined, message()),
      reading(undefined, message(), message()),
      /has 2 messages/,
    ],
    ["another method", reading(undefined, message({ start: "PUT / HTTP/1.1" })), reading(undefined, message()), /PUT/],
    ["another field", reading(undefined, message({ fields: [] })), reading(undefined, message()), /fields/],
    ["another body", reading(undefined, message({ body: "" })), reading(undefined, message()), /body/],
    [
      "a trailer only we see",
      reading(undefined, message({ trailers: ["a", "b"] })),
      reading(undefined, message()),
      /trailers/,
    ],
    [
      "trailers in another order",
      reading(undefined, message({ trailers: ["a", "b", "c", "d"] })),
      reading(undefined, message({ trailers: ["c", "d", "a", "b"] })),
      /trailers/,
    ],
  ])("%s", (_, ours, theirs, found) => {
    expect(disagreement(ours, theirs)).toMatch(found);
  });

  it.each<readonly [name: string, ours: Reading, theirs: Reading]>([
    ["agree", reading(undefined, message()), reading(undefined, message())],
    ["are stricter", reading("bare-lf"), reading(undefined, message())],
    [
      "are stricter within a message",
      reading("bare-lf", message({ complete: false, body: "" })),
      reading(undefined, message()),
    ],
    ["both refuse", reading("bare-lf", message()), reading("HPE_X", message())],
    ["drop a trailer", reading(undefined, message()), reading(undefined, message({ trailers: ["Host", "b"] }))],
  ])("nothing when we %s", (_, ours, theirs) => {
    expect(disagreement(ours, theirs)).toBeUndefined();
  });

  it("nothing where we differ on purpose, and only there", () => {
    const made = message({ start: "MAKE / HTTP/1.1" });
    expect(disagreement(reading(undefined, made), reading("HPE_INVALID_METHOD"))).toBeUndefined();
    expect(disagreement(reading(undefined, made), reading("HPE_INVALID_URL"))).toBeDefined();
    const latin = message({ start: "GET /\xe9 HTTP/1.1" });
    expect(disagreement(reading(undefined, latin), reading("HPE_INVALID_URL"))).toBeUndefined();
    expect(disagreement(reading(undefined, message()), reading("HPE_INVALID_URL"))).toBeDefined();
    expect(new Set(DELIBERATE_DIFFERENCES.map(({ name }) => name)).size).toBe(DELIBERATE_DIFFERENCES.length);
  });
});
