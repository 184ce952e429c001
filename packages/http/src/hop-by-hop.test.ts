import { describe, expect, it } from "vitest";
import { HeaderMap, stripHopByHop } from "./index.ts";

function stripped(init: ConstructorParameters<typeof HeaderMap>[0]): Record<string, string> {
  const headers = new HeaderMap(init);
  stripHopByHop(headers);
  return headers.toJSON();
}

describe("stripHopByHop", () => {
  it.each([
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Authentication-Info",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "HTTP2-Settings",
  ])("removes %s, whatever its case and number", (name) => {
    const init = [
      [name, "x"],
      ["a", "1"],
      [name.toLowerCase(), "y"],
      [name.toUpperCase(), "z"],
    ] as const;
    expect(stripped(init)).toEqual({ a: "1" });
  });

  it("leaves everything else, in order", () => {
    const headers = new HeaderMap([
      ["Host", "a"],
      ["Content-Length", "5"],
      ["Via", "b"],
      ["X-Keep-Alive", "c"],
      ["host", "d"],
    ]);
    const before = headers.toWire();
    stripHopByHop(headers);
    expect(headers.toWire()).toBe(before);
  });

  it("removes what Connection names, in any of its fields and any case", () => {
    const init = [
      ["x-secret", "1"],
      ["Connection", "close, X-Secret ,\tx-other"],
      ["X-Other", "2"],
      ["connection", "X-THIRD"],
      ["x-third", "3"],
      ["a", "4"],
    ] as const;
    expect(stripped(init)).toEqual({ a: "4" });
  });

  it("cannot be told to remove what identity, framing or trust hangs on", () => {
    const kept = [
      "host",
      "content-length",
      "content-type",
      "content-encoding",
      "authorization",
      "cookie",
      "set-cookie",
      "cache-control",
      "forwarded",
      "via",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-real-ip",
    ];
    const fields = Object.fromEntries(kept.map((name) => [name, "1"]));
    expect(stripped({ ...fields, Connection: kept.join(", ") })).toEqual(fields);
  });

  it("removes before, not after: what a proxy adds later cannot be named away", () => {
    const headers = new HeaderMap({ Connection: "x-added-by-proxy", "X-Added-By-Proxy": "from the client" });
    stripHopByHop(headers);
    headers.set("X-Added-By-Proxy", "ours");
    stripHopByHop(headers);
    expect(headers.toJSON()).toEqual({ "x-added-by-proxy": "ours" });
  });

  it("keeps TE: trailers alone, also where Connection names it as it must", () => {
    expect(stripped({ TE: "trailers" })).toEqual({ te: "trailers" });
    expect(stripped({ Connection: "TE", TE: "Trailers" })).toEqual({ te: "Trailers" });
    expect(stripped({ Connection: "TE", TE: "trailers, gzip" })).toEqual({});
    expect(stripped({ TE: "gzip;q=1" })).toEqual({});
  });

  it("is not confused by empty and odd nominations", () => {
    expect(stripped({ Connection: ",, ,close,keep-alive,\x80,a b", a: "1", "keep-alive": "2" })).toEqual({ a: "1" });
    expect(stripped({ Connection: "", a: "1" })).toEqual({ a: "1" });
  });
});
