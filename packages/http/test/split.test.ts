import { describe, expect, it } from "vitest";
import { CORPUS } from "./corpus.ts";
import { bytesOf, FEEDINGS, splits, transcript } from "./transcript.ts";

describe("the same events however the bytes are split", () => {
  it.each(CORPUS)("%s", (_, reading, text) => {
    const bytes = bytesOf(text);
    const whole = transcript(reading, [bytes]);
    for (const pieces of splits(bytes)) {
      for (const feeding of FEEDINGS) {
        const sizes = pieces.map((piece) => piece.length).join(" + ");
        expect(transcript(reading, pieces, feeding), `${sizes}, ${feeding}`).toEqual(whole);
      }
    }
  });

  it("the corpus has good and bad messages of both roles", () => {
    const count = (role: string, wanted: boolean): number =>
      CORPUS.filter(([, reading, text]) => {
        const last = transcript(reading, [bytesOf(text)]).at(-1);
        return reading.role === role && (last !== undefined && "refused" in last) === wanted;
      }).length;
    expect(count("requests", true)).toBeGreaterThan(30);
    expect(count("requests", false)).toBeGreaterThan(25);
    expect(count("responses", true)).toBeGreaterThan(5);
    expect(count("responses", false)).toBeGreaterThan(7);
  });

  it("what is said to be at a limit is taken, what is over it is refused", () => {
    for (const [name, reading, text] of CORPUS) {
      const last = transcript(reading, [bytesOf(text)]).at(-1);
      if (name.includes("at the limit")) expect(last, name).toHaveProperty("end");
      if (name.includes("over the limit"))
        expect(last, name).toHaveProperty("refused", expect.stringMatching(/^(too|.*-too)-/));
    }
  });
});
