import { describe, expect, it } from "vitest";
import { HeaderMap, RequestHead } from "./index.ts";

describe("RequestHead", () => {
  it("is made of method, target and fields, HTTP/1.1 unless said otherwise", () => {
    const head = new RequestHead("GET", "/a?b", { Host: "c" });
    expect([head.method, head.target, head.version, head.sendEndStream]).toEqual(["GET", "/a?b", "1.1", true]);
    expect(head.headers.get("host")).toBe("c");
    expect(new RequestHead("GET", "/", [], "2").version).toBe("2");
  });

  it("takes a header map as it is", () => {
    const headers = new HeaderMap({ a: "1" });
    expect(new RequestHead("GET", "/", headers).headers).toBe(headers);
  });

  it.each(["", "GE T", "GET\r\n", "G:T", "\u0100"])("refuses method %j", (method) => {
    expect(() => new RequestHead(method, "/")).toThrow(/is not a method/);
    const head = new RequestHead("GET", "/");
    expect(() => Object.assign(head, { method })).toThrow(TypeError);
    expect(head.method).toBe("GET");
  });

  it.each(["", "/a b", "/a\r\nb", "/a#b", "/\0", "/\x7f", "/€"])("refuses target %j", (target) => {
    expect(() => new RequestHead("GET", target)).toThrow(/is not a request target/);
    const head = new RequestHead("GET", "/");
    expect(() => Object.assign(head, { target })).toThrow(TypeError);
    expect(head.target).toBe("/");
  });

  it("keeps a target that is not UTF-8 byte for byte (HDR-04)", () => {
    const head = new RequestHead("GET", "/");
    head.target = "/caf\xe9?\xff\xc3\xa9%zz";
    expect(head.target).toBe("/caf\xe9?\xff\xc3\xa9%zz");
    expect(head.path).toBe("/caf\xe9");
    expect(head.query).toBe("\xff\xc3\xa9%zz");
  });

  it.each<readonly [method: string, target: string, path: string, query: string]>([
    ["GET", "/", "/", ""],
    ["GET", "/a/b.c?d=e?f", "/a/b.c", "d=e?f"],
    ["GET", "//a/b", "//a/b", ""],
    ["GET", "/a?", "/a", ""],
    ["GET", "/a?http://b/c", "/a", "http://b/c"],
    ["GET", "http://a.example/b?c", "/b", "c"],
    ["GET", "http://a.example", "/", ""],
    ["GET", "http://a.example?b/c", "/", "b/c"],
    ["OPTIONS", "*", "*", ""],
    ["CONNECT", "a.example:443", "", ""],
  ])("%s %s has path %j and query %j", (method, target, path, query) => {
    const head = new RequestHead(method, target);
    expect([head.path, head.query]).toEqual([path, query]);
  });

  it.each<readonly [method: string, target: string, host: string | undefined, authority: string | undefined]>([
    ["GET", "/a?http://b/c", "a.example", "a.example"],
    ["OPTIONS", "*", "a.example:80", "a.example:80"],
    ["GET", "http://a.example:81/b", undefined, "a.example:81"],
    ["GET", "http://a.example?b/c", "a.example", "a.example"],
    ["GET", "https://[::1]", "[::1]", "[::1]"],
    ["CONNECT", "a.example:443", "a.example", "a.example:443"],
    ["GET", "/", undefined, undefined],
  ])("%s %s with Host %s is for %s", (method, target, host, authority) => {
    const head = new RequestHead(method, target, host === undefined ? [] : { host });
    expect(head.authority).toBe(authority);
  });

  it.each<readonly [target: string, extension: string | undefined]>([
    ["/a/b.css", "css"],
    ["/a/b.tar.GZ?c=d.e", "GZ"],
    ["/a.b/c", undefined],
    ["/a.", undefined],
    ["/", undefined],
    ["/.well-known", "well-known"],
    ["http://a.example", undefined],
    ["http://a.example/b.js", "js"],
  ])("the file extension of %s is %s (HDR-05)", (target, extension) => {
    expect(new RequestHead("GET", target).fileExtension).toBe(extension);
  });

  it("a clone can be changed on its own, and remembers to send an empty body (HDR-06)", () => {
    const head = new RequestHead("POST", "/a", { b: "1" }, "1.0");
    head.sendEndStream = false;
    const copy = head.clone();
    expect([copy.method, copy.target, copy.version, copy.sendEndStream]).toEqual(["POST", "/a", "1.0", false]);
    copy.headers.set("b", "2");
    copy.method = "PUT";
    copy.target = "/c";
    expect([head.method, head.target, head.headers.get("b")]).toEqual(["POST", "/a", "1"]);
  });
});
