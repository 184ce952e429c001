import { describe, expect, it } from "vitest";
import { ResponseHead, reasonPhrase } from "./index.ts";

describe("ResponseHead (HDR-01, HDR-07)", () => {
  it("has the usual reason phrase of its status", () => {
    const head = new ResponseHead(404, { a: "1" });
    expect([head.status, head.reason, head.version, head.headers.get("a")]).toEqual([404, "Not Found", "1.1", "1"]);
    head.status = 503;
    expect(head.reason).toBe("Service Unavailable");
  });

  it("keeps a phrase of its own, until the status changes", () => {
    const head = new ResponseHead(200);
    head.reason = "Tr\xe8s bien";
    head.status = 200;
    expect(head.reason).toBe("Tr\xe8s bien");
    head.status = 201;
    expect(head.reason).toBe("Created");
    head.reason = "";
    expect(head.reason).toBe("");
  });

  it.each(["a\r\nb", "\0", "\x7f", "€"])("refuses reason %j", (reason) => {
    const head = new ResponseHead(200);
    expect(() => Object.assign(head, { reason })).toThrow(/is not a reason phrase/);
    expect(head.reason).toBe("OK");
  });

  it.each([99, 1000, 200.5, -200, Number.NaN, 0])("refuses status %s", (status) => {
    expect(() => new ResponseHead(status)).toThrow(/three digits/);
    const head = new ResponseHead(200);
    expect(() => Object.assign(head, { status })).toThrow(TypeError);
    expect(head.status).toBe(200);
  });

  it("knows interim responses; 101 is final", () => {
    const informational = [100, 101, 102, 103, 199, 200, 999].filter(
      (status) => new ResponseHead(status).informational,
    );
    expect(informational).toEqual([100, 102, 103, 199]);
  });

  it("takes a status that nobody registered, with an empty phrase", () => {
    expect(new ResponseHead(888).reason).toBe("");
    expect(reasonPhrase(888)).toBe("");
    expect(reasonPhrase(418)).toBe("");
  });

  it("a clone can be changed on its own", () => {
    const head = new ResponseHead(200, { a: "1" }, "1.0");
    head.reason = "Fine";
    const copy = head.clone();
    expect([copy.status, copy.reason, copy.version]).toEqual([200, "Fine", "1.0"]);
    copy.headers.delete("a");
    copy.status = 500;
    expect([head.status, head.reason, head.headers.get("a")]).toEqual([200, "Fine", "1"]);
  });
});
