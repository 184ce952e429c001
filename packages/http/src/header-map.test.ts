import { describe, expect, it } from "vitest";
import { HeaderMap, RequestParser } from "./index.ts";

/** The header map of a request with these field lines, as a parser makes it. */
function received(...lines: string[]): HeaderMap {
  const parser = new RequestParser();
  parser.push(Buffer.from(`GET / HTTP/1.0\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`, "latin1"));
  parser.next();
  return (parser.head as NonNullable<typeof parser.head>).headers;
}

describe("HeaderMap", () => {
  describe("from a parser", () => {
    it("keeps the case and the order of names (HDR-01, HDR-02)", () => {
      const headers = received("hOsT: a", "x-B: 1", "X-b: 2", "Accept:*/*");
      expect([...headers]).toEqual([
        ["hOsT", "a"],
        ["x-B", "1"],
        ["X-b", "2"],
        ["Accept", "*/*"],
      ]);
      expect(headers.size).toBe(4);
    });

    it("leaves untouched as it came, byte for byte", () => {
      const lines = ["hOsT: a", "x-B:  \xe9\xff \t", "X-b:", "Accept:*/*"];
      expect(received(...lines).toWire()).toBe(lines.map((line) => `${line}\r\n`).join(""));
    });

    it("leaves with what was changed, and the rest as it came", () => {
      const headers = received("a:1", "b:2", "c:3", "d:4", "e:5");
      headers.delete("b");
      headers.set("D", "four");
      headers.append("f", "6");
      expect(headers.toWire()).toBe("a:1\r\nc:3\r\nD: four\r\ne:5\r\nf: 6\r\n");
    });

    it("does not join lines of two messages, even where one ends as the other begins", () => {
      const first = received("a:1", "b:2");
      const second = received("a:1", "c:3");
      const mixed = HeaderMap.adopt([...first.fields().slice(0, 1), ...second.fields().slice(1)]);
      expect(mixed.toWire()).toBe("a:1\r\nc:3\r\n");
    });
  });

  describe("look-ups", () => {
    const headers = new HeaderMap([
      ["Accept", "a"],
      ["Cookie", "a=1"],
      ["ACCEPT", "b"],
      ["cookie", "b=2"],
      ["Set-Cookie", "x"],
      ["Set-Cookie", "y"],
      ["Empty", ""],
    ]);

    it("ignore case", () => {
      expect(headers.get("aCCept")).toBe("a, b");
      expect(headers.has("EMPTY")).toBe(true);
      expect(headers.get("EMPTY")).toBe("");
    });

    it("join equal names by commas, cookies by semicolons", () => {
      expect(headers.get("accept")).toBe("a, b");
      expect(headers.get("cookie")).toBe("a=1; b=2");
    });

    it("give the first line of a name in lower case, for hot code", () => {
      expect(headers.find("accept")?.value).toBe("a");
      expect(headers.find("set-cookie")?.name).toBe("Set-Cookie");
      expect(headers.find("nothing")).toBeUndefined();
    });

    it("give each value on its own", () => {
      expect(headers.getAll("set-cookie")).toEqual(["x", "y"]);
      expect(headers.getAll("nothing")).toEqual([]);
    });

    it("tell absent from empty", () => {
      expect(headers.get("accep")).toBeUndefined();
      expect(headers.get("acceptt")).toBeUndefined();
      expect(headers.get("")).toBeUndefined();
      expect(headers.has("nothing")).toBe(false);
    });
  });

  describe("changes (HDR-03)", () => {
    it("append adds behind the others", () => {
      const headers = new HeaderMap({ a: "1" }).append("b", "2").append("A", "3");
      expect(headers.toWire()).toBe("a: 1\r\nb: 2\r\nA: 3\r\n");
    });

    it("set replaces all fields of the name, in the place of the first", () => {
      const headers = new HeaderMap({ a: ["1", "2"], b: "3" }).append("A", "4");
      expect(headers.set("A", "5").toWire()).toBe("A: 5\r\nb: 3\r\n");
    });

    it("set keeps the spelling when the name comes in lower case", () => {
      expect(received("X-FORWARDED-for: a").set("x-forwarded-for", "b").toWire()).toBe("X-FORWARDED-for: b\r\n");
    });

    it("names in lower case get their usual spelling, the others are written as they come (HDR-02)", () => {
      const names = "accept-ranges age cache-control connection content-type content-encoding content-length date";
      const headers = new HeaderMap(
        `${names} transfer-encoding host server set-cookie x-other`.split(" ").map((name) => [name, "1"] as const),
      );
      expect([...headers].map(([name]) => name).join(" ")).toBe(
        "Accept-Ranges Age Cache-Control Connection Content-Type Content-Encoding Content-Length Date Transfer-Encoding Host Server Set-Cookie x-other",
      );
      expect(new HeaderMap().append("CONTENT-type", "a").toWire()).toBe("CONTENT-type: a\r\n");
    });

    it("delete removes every field of the name and says whether there was one", () => {
      const headers = received("a:1", "b:2", "A:3");
      expect(headers.delete("a")).toBe(true);
      expect(headers.delete("a")).toBe(false);
      expect(headers.toWire()).toBe("b:2\r\n");
    });

    it("filter keeps what it is told", () => {
      const headers = received("a:1", "b:2", "a:3", "c:4");
      headers.filter((field) => !field.is("a"));
      expect(headers.toWire()).toBe("b:2\r\nc:4\r\n");
      headers.filter(() => true);
      expect(headers.size).toBe(2);
      headers.filter(() => false);
      expect(headers.toWire()).toBe("");
    });

    it("do not reach a clone, nor the clone's the original", () => {
      const headers = received("a:1", "b:2");
      const copy = headers.clone();
      copy.set("a", "9").delete("b");
      headers.append("c", "3");
      expect(copy.toWire()).toBe("a: 9\r\n");
      expect(headers.toWire()).toBe("a:1\r\nb:2\r\nc: 3\r\n");
    });
  });

  describe("what may not be sent", () => {
    it.each(["", "a b", "a:", "a\r\nb", "\u212Aey", "é", " a", "a\0"])("name %j", (name) => {
      expect(() => new HeaderMap().append(name, "1")).toThrow(TypeError);
      expect(() => new HeaderMap().set(name, "1")).toThrow(TypeError);
    });

    it.each(["a\r\nb: c", "a\nb", "a\rb", "a\0", "\x7f", "\x1b", "\u0100", "€"])("value %j", (value) => {
      const headers = new HeaderMap({ a: "1" });
      expect(() => headers.append("b", value)).toThrow(/field b has/);
      expect(() => headers.set("a", value)).toThrow(TypeError);
      expect(headers.toWire()).toBe("a: 1\r\n");
    });

    it("a name that only its lower case makes equal to one that is there", () => {
      const headers = received("Key: 1");
      expect(() => headers.set("\u212Aey", "2")).toThrow(TypeError);
      expect(headers.toWire()).toBe("Key: 1\r\n");
    });
  });

  it("trims spaces and tabs around values, and no byte of a longer character", () => {
    expect(new HeaderMap({ a: " \t b c \t" }).get("a")).toBe("b c");
    const utf8 = Buffer.from("\u00a0voil\u00e0", "utf8").toString("latin1");
    expect(utf8.endsWith("\u00a0")).toBe(true);
    expect(new HeaderMap({ a: utf8 }).get("a")).toBe(utf8);
    expect(new HeaderMap({ a: "\u0085" }).get("a")).toBe("\u0085");
    expect(new HeaderMap({ a: "  " }).get("a")).toBe("");
  });

  describe("conversions", () => {
    it("takes pairs, records, Headers and other maps", () => {
      const wire = "a: 1\r\nb: 2\r\n";
      expect(
        new HeaderMap([
          ["a", "1"],
          ["b", "2"],
        ]).toWire(),
      ).toBe(wire);
      expect(new HeaderMap({ a: "1", b: ["2"] }).toWire()).toBe(wire);
      expect(new HeaderMap(new Headers({ a: "1", b: "2" })).toWire()).toBe(wire);
      expect(new HeaderMap(new Map(Object.entries({ a: "1", b: "2" }))).toWire()).toBe(wire);
      expect(new HeaderMap(received("a: 1", "b: 2")).toWire()).toBe(wire);
    });

    it("gives Headers, with each cookie that is set on its own", () => {
      const headers = received("A: 1", "a: 2", "Set-Cookie: x", "Set-Cookie: y, z", "b: \xe9").toHeaders();
      expect(headers.get("a")).toBe("1, 2");
      expect(headers.getSetCookie()).toEqual(["x", "y, z"]);
      expect(headers.get("b")).toBe("\xe9");
    });

    it("gives an object for logs, in which no name is lost or mistaken", () => {
      const headers = received("A: 1", "a: 2", "constructor: 3", "__proto__: 4", "toString: 5");
      expect(Object.entries(headers.toJSON())).toEqual([
        ["a", "1, 2"],
        ["constructor", "3"],
        ["__proto__", "4"],
        ["tostring", "5"],
      ]);
      expect(JSON.stringify(headers)).toBe('{"a":"1, 2","constructor":"3","__proto__":"4","tostring":"5"}');
    });
  });
});
