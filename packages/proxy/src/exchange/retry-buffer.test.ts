import { describe, expect, it } from "vitest";
import { RetryBuffer } from "./retry-buffer.ts";

function kept(buffer: RetryBuffer): string {
  return Buffer.concat(buffer.chunks).toString("latin1");
}

describe("what is kept of a request body", () => {
  it("is all of it, in order, whatever the pieces", () => {
    const buffer = new RetryBuffer(64 * 1024);
    let expected = "";
    for (let index = 0; index < 300; index++) {
      const piece = String.fromCharCode(33 + (index % 90)).repeat(index % 7 === 0 ? 1100 : index % 11);
      expected += piece;
      buffer.keep(Buffer.from(piece, "latin1"));
    }
    expect(buffer.truncated).toBe(false);
    expect(kept(buffer)).toBe(expected);
  });

  it("can be read in between, and goes on", () => {
    const buffer = new RetryBuffer(1000);
    for (let index = 0; index < 20; index++) buffer.keep(Buffer.from("ab"));
    expect(kept(buffer)).toBe("ab".repeat(20));
    for (let index = 0; index < 20; index++) buffer.keep(Buffer.from("cd"));
    expect(kept(buffer)).toBe("ab".repeat(20) + "cd".repeat(20));
  });

  it("costs little more than its bytes, also when each comes by itself", () => {
    const buffer = new RetryBuffer(64 * 1024);
    for (let index = 0; index < 64 * 1024; index++) buffer.keep(Buffer.from([index & 0xff]));
    expect(buffer.truncated).toBe(false);
    expect(buffer.chunks.length).toBeLessThan(32);
    expect(kept(buffer).length).toBe(64 * 1024);
  });

  it("is nothing once it is more than the limit", () => {
    const buffer = new RetryBuffer(10);
    buffer.keep(Buffer.from("0123456789"));
    expect(buffer.truncated).toBe(false);
    buffer.keep(Buffer.from("x"));
    expect(buffer.truncated).toBe(true);
    expect(buffer.chunks).toEqual([]);
    buffer.keep(Buffer.from("y"));
    expect(buffer.chunks).toEqual([]);
  });

  it("is nothing but an empty body with a limit of 0", () => {
    const buffer = new RetryBuffer(0);
    expect(buffer.truncated).toBe(false);
    buffer.keep(Buffer.from("x"));
    expect(buffer.truncated).toBe(true);
  });
});
