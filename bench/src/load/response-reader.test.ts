import { describe, expect, it } from "vitest";
import { ResponseReader } from "./response-reader.ts";

const message = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

describe("ResponseReader", () => {
  it.each([1, 7, message.length])("reads a response in pieces of %i bytes", (size) => {
    const reader = new ResponseReader();
    expect(reader.begun).toBe(false);
    for (let start = 0; start < message.length; start += size) {
      expect(reader.done).toBe(false);
      reader.read(Buffer.from(message.slice(start, start + size)));
      expect(reader.begun).toBe(true);
    }
    expect(reader).toMatchObject({ status: 200, closes: true, bodyBytes: 5, done: true });
  });

  it("is done with the head when there is no body", () => {
    const reader = new ResponseReader();
    reader.read(Buffer.from("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
    expect(reader).toMatchObject({ status: 404, closes: false, bodyBytes: 0, done: true });
  });

  it("counts what is too much", () => {
    const reader = new ResponseReader();
    reader.read(Buffer.from(`${message}!!`));
    expect(reader).toMatchObject({ bodyBytes: 7, done: true });
  });

  it("refuses what is no such response", () => {
    expect(() => new ResponseReader().read(Buffer.from("HTTP/1.1 200 OK\r\n\r\n"))).toThrow(SyntaxError);
    expect(() => new ResponseReader().read(Buffer.from("nonsense\r\n\r\n"))).toThrow(SyntaxError);
  });
});
