import { describe, expect, it } from "vitest";
import { CirqueError, isCirqueError } from "./cirque-error.ts";
import { errorCatalogue } from "./error-catalogue.ts";

describe("CirqueError", () => {
  it("carries code, source, retry, status, cause and context", () => {
    const cause = new Error("ECONNREFUSED");
    const error = new CirqueError("HTTPStatus", "no backend", {
      source: "upstream",
      retry: "reused-only",
      status: 502,
      cause,
      context: { address: "127.0.0.1:1" },
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: "CirqueError",
      code: "HTTPStatus",
      source: "upstream",
      retry: "reused-only",
      status: 502,
      cause,
      context: { address: "127.0.0.1:1" },
    });
  });

  it("says nothing about source, retry and cause unless told", () => {
    const error = new CirqueError("ReadError", "reset");
    expect(error.source).toBe("unset");
    expect(error.retry).toBe(false);
    expect("cause" in error).toBe(false);
    expect("status" in error).toBe(false);
  });

  it("has a constructor for each side", () => {
    expect(CirqueError.upstream("ReadError", "m").source).toBe("upstream");
    expect(CirqueError.downstream("ReadError", "m").source).toBe("downstream");
    expect(CirqueError.internal("InternalError", "m").source).toBe("internal");
    expect(CirqueError.httpStatus(503, "m")).toMatchObject({ code: "HTTPStatus", status: 503 });
  });

  it("takes over the retry decision of its cause, and the source too when it wraps", () => {
    const inner = CirqueError.upstream("WriteError", "reset", { retry: "reused-only" });
    expect(new CirqueError("InternalError", "outer", { cause: inner }).retry).toBe("reused-only");
    expect(new CirqueError("InternalError", "outer", { cause: inner, retry: false }).retry).toBe(false);
    expect(CirqueError.because("ReadError", "outer", inner)).toMatchObject({
      source: "upstream",
      retry: "reused-only",
    });
    expect(CirqueError.because("ReadError", "outer", new Error("plain"))).toMatchObject({
      source: "unset",
      retry: false,
    });
  });

  it("explains the failure of a promise", async () => {
    const failure = Promise.reject(new Error("EIO")).catch(CirqueError.explain("FileReadError", "cannot read the key"));
    await expect(failure).rejects.toMatchObject({ code: "FileReadError", cause: { message: "EIO" } });
  });

  it("settles a reused-only decision once, and no other", () => {
    const open = new CirqueError("WriteError", "reset", { retry: "reused-only" });
    open.decideReuse(true);
    open.decideReuse(false);
    expect(open.retry).toBe(true);
    const decided = new CirqueError("WriteError", "reset", { retry: false });
    decided.decideReuse(true);
    expect(decided.retry).toBe(false);
  });

  it("can be marked and given context later", () => {
    const error = new CirqueError("ReadError", "m", { context: { a: 1 } });
    expect(error.asUpstream().source).toBe("upstream");
    expect(error.asDownstream().source).toBe("downstream");
    expect(error.asInternal().withContext({ b: 2 })).toBe(error);
    expect(error.context).toEqual({ a: 1, b: 2 });
  });

  it("does not share its context with the caller", () => {
    const context = { a: 1 };
    new CirqueError("ReadError", "m", { context }).withContext({ a: 2 });
    expect(context).toEqual({ a: 1 });
  });

  it("finds the root of the chain", () => {
    const system = new Error("ECONNRESET");
    const inner = CirqueError.because("ReadError", "inner", system);
    const outer = CirqueError.because("InternalError", "outer", inner);
    expect(outer.rootCause).toBe(system);
    expect(outer.rootCode).toBe("ReadError");
    expect(new CirqueError("H1Error", "alone").rootCode).toBe("H1Error");
  });

  it("prints the chain in one line, without repeating source and code", () => {
    const first = CirqueError.upstream("ReadError", "no head", { cause: new TypeError("boom") });
    const second = CirqueError.because("ReadError", "attempt 2", first);
    const third = CirqueError.internal("HTTPStatus", "giving up", { status: 502, cause: second });
    expect(String(third)).toBe(
      "internal HTTPStatus 502: giving up, caused by: upstream ReadError: attempt 2, caused by: no head, caused by: TypeError: boom",
    );
    expect(String(new CirqueError("Custom", "limit", { custom: "QuotaExceeded" }))).toBe("QuotaExceeded: limit");
  });

  it("prints a message with line breaks in one line", () => {
    expect(String(new CirqueError("H1Error", "bad name a\r\nforged: line\u2028\u0000"))).toBe(
      "H1Error: bad name a\\r\\nforged: line\\u2028\\u0000",
    );
  });

  it("survives a circular chain of causes", () => {
    const error = new CirqueError("ReadError", "loop");
    error.cause = error;
    expect(String(error)).toBe("ReadError: loop");
    expect(error.rootCause).toBe(error);
  });
});

describe("isCirqueError", () => {
  it("recognises an error of another copy of the package by its brand", () => {
    const other = Object.assign(Object.create({ [Symbol.for("cirque.error")]: true }), { code: "ReadError" });
    expect(isCirqueError(other)).toBe(true);
  });

  it.each([undefined, null, 1, "x", {}, new Error("plain")])("refuses %s", (value) => {
    expect(isCirqueError(value)).toBe(false);
  });
});

describe("errorCatalogue", () => {
  it("explains each code in one line that starts in upper case and ends without a stop", () => {
    for (const [code, meaning] of Object.entries(errorCatalogue)) {
      expect(meaning, code).toMatch(/^[A-Z][^\n]+[^.\n]$/);
    }
  });
});
