import { describe, expect, it } from "vitest";
import { type CorsOptions, cors } from "../../src/index.ts";
import { okResponse } from "../harness/raw-origin.ts";
import { ask, type Outcome, through } from "./through.ts";

const preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n";

function get(lines: string, options: CorsOptions, answer = okResponse("ok")): Promise<Outcome> {
  return through(ask("/", lines), { modules: [cors(options)], answer });
}

function options(lines: string, settings: CorsOptions): Promise<Outcome> {
  return through(ask("/", lines, "OPTIONS"), { modules: [cors(settings)] });
}

function fields({ response }: Outcome): Record<string, string> {
  const all = Object.entries(response.headers.toJSON());
  return Object.fromEntries(all.filter(([name]) => name.startsWith("access-control") || name === "vary"));
}

describe("a response", () => {
  it("may be read by the pages of an origin that is allowed", async () => {
    const settings = { origins: ["https://app.example"], credentials: true, exposedHeaders: ["x-total"] };
    expect(fields(await get("Origin: https://app.example\r\n", settings))).toEqual({
      "access-control-allow-origin": "https://app.example",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "x-total",
      vary: "Origin",
    });
  });

  it.each(["https://app.example.evil", "http://app.example", "null", "https://APP.example", "*"])(
    "may not be read by those of %s",
    async (origin) => {
      const origins = ["https://app.example", /https:\/\/[a-z]+\.app\.example/];
      expect(fields(await get(`Origin: ${origin}\r\n`, { origins }))).toEqual({ vary: "Origin" });
    },
  );

  it("may be read by all, or by whom a pattern or a function says", async () => {
    expect(fields(await get("Origin: null\r\n", { origins: "*" }))).toEqual({ "access-control-allow-origin": "*" });
    const pattern = { origins: [/https:\/\/[a-z]+\.app\.example/g] };
    for (let time = 0; time < 2; time++) {
      expect(fields(await get("Origin: https://x.app.example\r\n", pattern))).toMatchObject({
        "access-control-allow-origin": "https://x.app.example",
      });
    }
    expect(fields(await get("Origin: https://x.app.example.evil\r\n", pattern))).toEqual({ vary: "Origin" });
    expect(fields(await get("Origin: null\r\n", { origins: (origin) => origin === "null" }))).toMatchObject({
      "access-control-allow-origin": "null",
    });
  });

  it("varies with the origin also for who sends none, and keeps what it varies with besides", async () => {
    const settings = { origins: ["https://app.example"] };
    expect(fields(await get("", settings, okResponse("ok", "Vary: Accept\r\n")))).toEqual({ vary: "Accept, Origin" });
    expect(fields(await get("", settings, okResponse("ok", "Vary: origin\r\n")))).toEqual({ vary: "origin" });
  });

  it("has nothing left of what its origin says of CORS", async () => {
    const lines =
      "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Max-Age: 5\r\n";
    const answer = okResponse("ok", lines);
    expect(fields(await get("Origin: https://evil.example\r\n", { origins: ["https://app.example"] }, answer))).toEqual(
      {
        vary: "Origin",
      },
    );
  });

  it("of a failure can be read as well", async () => {
    const { response } = await through(ask("/", "Origin: https://app.example\r\n"), {
      modules: [cors({ origins: ["https://app.example"] })],
      callbacks: { upstreamPeer: () => Promise.reject(new Error("none")) },
    });
    expect(response.status).toBe(500);
    expect(response.headers.get("access-control-allow-origin")).toBe("https://app.example");
  });
});

describe("a preflight", () => {
  it("is answered without the origin being asked", async () => {
    const lines = `${preflight}Access-Control-Request-Headers: X-One, x-two, bad name\r\n`;
    const outcome = await options(lines, { origins: ["https://app.example"], credentials: true });
    expect(outcome.response.status).toBe(204);
    expect(outcome.seen).toBeUndefined();
    expect(fields(outcome)).toEqual({
      "access-control-allow-origin": "https://app.example",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
      "access-control-allow-headers": "x-one, x-two",
      "access-control-max-age": "600",
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
  });

  it("grants only the fields that are listed", async () => {
    const lines = `${preflight}Access-Control-Request-Headers: x-one, x-two\r\n`;
    const outcome = await options(lines, { origins: "*", requestHeaders: ["X-One"], methods: [], maxAgeSeconds: 0 });
    expect(fields(outcome)).toEqual({
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, HEAD, POST",
      "access-control-allow-headers": "x-one",
      "access-control-max-age": "0",
      vary: "Access-Control-Request-Method, Access-Control-Request-Headers",
    });
  });

  it("of another origin is answered without leave", async () => {
    const outcome = await options(preflight, { origins: ["https://other.example"] });
    expect(outcome.response.status).toBe(204);
    expect(outcome.seen).toBeUndefined();
    expect(fields(outcome)).toEqual({
      vary: "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    });
  });

  it("is what says so: another OPTIONS goes on", async () => {
    const { seen } = await options("Origin: https://app.example\r\n", { origins: "*" });
    expect(seen?.head.method).toBe("OPTIONS");
  });
});

it.each<[string, CorsOptions]>([
  ["everybody with credentials", { origins: "*", credentials: true }],
  ["what is no origin", { origins: ["https://app.example/"] }],
  ["a host without scheme", { origins: ["app.example"] }],
  ["a method that is none", { origins: "*", methods: ["A B"] }],
  ["a field that is none", { origins: "*", exposedHeaders: ["a:b"] }],
  ["an age that is none", { origins: "*", maxAgeSeconds: -1 }],
])("refuses %s", (_name, settings) => expect(() => cors(settings)).toThrow(/^CORS: /));
