import { describe, expect, it } from "vitest";
import { AddressList, type ForwardingOptions, forwardedClientAddress, forwardingHeaders } from "../../src/index.ts";
import { okResponse } from "../harness/raw-origin.ts";
import { ask, through } from "./through.ts";

const forged =
  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.1\r\n";

async function fieldsSeen(lines: string, options: ForwardingOptions): Promise<Record<string, string>> {
  const { seen } = await through(ask("/", lines), { modules: [forwardingHeaders(options)] });
  const fields = Object.entries(seen?.head.headers.toJSON() ?? {});
  return Object.fromEntries(fields.filter(([name]) => name.includes("forwarded") || name === "via"));
}

describe("forwarding headers say who asks", () => {
  it("and of what a client says itself, nothing is left", async () => {
    expect(await fieldsSeen(forged, { forwarded: true })).toEqual({
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-host": "a.example",
      "x-forwarded-proto": "http",
      "x-forwarded-port": expect.stringMatching(/^\d+$/),
      forwarded: "for=127.0.0.1;host=a.example;proto=http",
    });
  });

  it("or nothing at all", async () => {
    expect(await fieldsSeen(forged, { received: "drop" })).toEqual({});
  });

  for (const options of [{ received: "append" }, { trustedProxies: ["127.0.0.0/8"] }] as const) {
    it(`and more of what was said before: ${JSON.stringify(options)}`, async () => {
      expect(
        await fieldsSeen(`${forged}X-Forwarded-For: 192.0.2.2\r\n`, { ...options, forwarded: true }),
      ).toMatchObject({
        "x-forwarded-for": "192.0.2.1, 192.0.2.2, 127.0.0.1",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        forwarded: "for=192.0.2.1, for=127.0.0.1;host=a.example;proto=http",
      });
    });
  }

  it("but not behind a proxy that is not trusted", async () => {
    expect(await fieldsSeen(forged, { trustedProxies: ["10.0.0.0/8", "::1"] })).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
    });
  });

  it("in quotes, where RFC 7239 wants them", async () => {
    const { seen } = await through(ask().replace("a.example", "a.example:80"), {
      modules: [forwardingHeaders({ forwarded: true, xForwarded: false })],
    });
    expect(seen?.head.headers.get("forwarded")).toBe('for=127.0.0.1;host="a.example:80";proto=http');
    expect(seen?.head.headers.has("x-forwarded-for")).toBe(false);
  });

  it("and a client cannot have them taken away as fields of its connection", async () => {
    const lines = "Connection: x-forwarded-for, forwarded, x-forwarded-proto\r\n";
    expect(await fieldsSeen(lines, { forwarded: true })).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      forwarded: "for=127.0.0.1;host=a.example;proto=http",
    });
  });
});

describe("Via", () => {
  const modules = [forwardingHeaders({ via: "edge-1" })];

  it("is sent both ways, behind what is there", async () => {
    const answer = okResponse("ok", "Via: 1.0 other\r\n");
    const { response, seen } = await through(ask("/", "Via: 1.0 fred (edge-1, 1.1 edge-1)\r\n"), { modules, answer });
    expect(seen?.head.headers.get("via")).toBe("1.0 fred (edge-1, 1.1 edge-1), 1.1 edge-1");
    expect(response.headers.get("via")).toBe("1.0 other, 1.1 edge-1");
  });

  it.each(["1.1 edge-1", "1.0 a, HTTP/1.1 EDGE-1 (x)", "1.1\tedge-1"])("finds a loop in %j", async (via) => {
    const { response, seen } = await through(ask("/", `Via: ${via}\r\n`), { modules });
    expect(response.status).toBe(508);
    expect(seen).toBeUndefined();
  });

  it("is a token", () => {
    expect(() => forwardingHeaders({ via: "an edge" })).toThrow(/not a name for Via/);
    expect(() => forwardingHeaders({ trustedProxies: ["10.0.0.0/33"] })).toThrow(/neither an IP address/);
  });
});

describe("the address behind trusted proxies", () => {
  const trusted = new AddressList(["127.0.0.1", "10.0.0.0/8"]);
  const addressFor = async (field: string, list = trusted): Promise<string | undefined> => {
    let address: string | undefined;
    await through(ask("/", field === "" ? "" : `X-Forwarded-For: ${field}\r\n`), {
      modules: [],
      callbacks: {
        earlyRequestFilter(session) {
          address = forwardedClientAddress(session, list);
        },
      },
    });
    return address;
  };

  it.each([
    ["", "127.0.0.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["198.51.100.1, 192.0.2.1, 10.1.1.1", "192.0.2.1"],
    ["10.1.1.1, 10.2.2.2", "10.1.1.1"],
    ["192.0.2.1:99, 10.2.2.2", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]:80", "2001:db8::1"],
    ["192.0.2.1, garbage", "127.0.0.1"],
    ["garbage, 10.1.1.1", "10.1.1.1"],
  ])("in %j is %s", async (field, expected) => expect(await addressFor(field)).toBe(expected));

  it("is the connection's own, when that is none of theirs", async () => {
    expect(await addressFor("192.0.2.1", new AddressList([]))).toBe("127.0.0.1");
  });
});
