import { describe, expect, it } from "vitest";
import { AddressList, basicAuthentication, hashPassword, headerRules, ipAccess } from "../../src/index.ts";
import { ipAddressOf } from "../../src/modules/address-list.ts";
import { okResponse, RawOrigin } from "../harness/raw-origin.ts";
import { readResponses } from "../harness/read-responses.ts";
import { TestProxy } from "../harness/test-proxy.ts";
import { ask, through } from "./through.ts";

const hash = await hashPassword("tea: för två");
const as = (credentials: string): string => `Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\n`;

describe("basic authentication", () => {
  const authentication = basicAuthentication({ users: { ann: hash }, realm: "staff" });

  it("lets a user in with the password, and keeps it from the origin", async () => {
    let user: string | undefined;
    const { response, seen } = await through(ask("/", as("ann:tea: för två")), {
      modules: [authentication],
      callbacks: {
        requestFilter(session) {
          user = session.module(authentication).user;
        },
      },
    });
    expect(response.status).toBe(200);
    expect(user).toBe("ann");
    expect(seen?.head.headers.has("authorization")).toBe(false);
  });

  it.each([
    ["nothing", ""],
    ["a wrong password", as("ann:tea")],
    ["a user that there is not", as("bob:tea: för två")],
    ["a name that every object has", as("constructor:x")],
    ["no colon", as("ann")],
    ["nothing in it", "Authorization: Basic \r\n"],
    ["no base64", "Authorization: Basic ***\r\n"],
    ["another scheme", "Authorization: Bearer YW5uOnRlYQ==\r\n"],
    ["two fields", as("ann:tea: för två") + as("ann:tea: för två")],
    ["an empty password", as("ann:")],
  ])("asks for credentials: %s", async (_name, lines) => {
    const { response, seen } = await through(ask("/", lines), { modules: [authentication] });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe('Basic realm="staff", charset="UTF-8"');
    expect(seen).toBeUndefined();
  });

  it("may forward credentials, and ask a function", async () => {
    const modules = [
      basicAuthentication({ users: async (user, password) => `${user}${password}` === "ab", forward: true }),
    ];
    expect((await through(ask("/", as("a:b")), { modules })).seen?.head.headers.get("authorization")).toMatch(
      /^Basic /,
    );
    expect((await through(ask("/", as("a:c")), { modules })).response.status).toBe(401);
  });

  it("hashes a bounded number of passwords at a time", async () => {
    await using origin = await RawOrigin.answering(okResponse("ok"));
    await using proxy = await TestProxy.start(
      { upstreamPeer: () => origin.peer() },
      { modules: [basicAuthentication({ users: { ann: hash }, maxChecks: 1 })] },
    );
    const texts = await Promise.all(["x", "y", "z"].map((password) => proxy.exchange(ask("/", as(`ann:${password}`)))));
    const statuses = texts.flatMap((text) => readResponses(text).map(({ status }) => status));
    expect(statuses.toSorted()).toEqual([401, 503, 503]);
  });

  it.each([
    "tea",
    "$scrypt$ln=15,r=8,p=1$AA$AA",
    "$scrypt$ln=30,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "$scrypt$ln=0,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA",
  ])("refuses %j for a hash, and does not repeat it", (text) => {
    expect(() => basicAuthentication({ users: { ann: text } })).toThrow(/a password hash cannot be used/);
    expect(() => basicAuthentication({ users: { ann: "tea-secret" } })).not.toThrow(/tea-secret/);
  });

  it("refuses names and realms that cannot be sent", () => {
    expect(() => basicAuthentication({ users: { "a:b": hash } })).toThrow(/colon/);
    expect(() => basicAuthentication({ users: {}, realm: 'a"b' })).toThrow(/realm/);
  });

  it("salts each hash", async () => {
    expect(await hashPassword("a")).not.toBe(await hashPassword("a"));
  });
});

describe("IP access", () => {
  const statusWith = async (options: Parameters<typeof ipAccess>[0]): Promise<number> =>
    (await through(ask(), { modules: [ipAccess(options)] })).response.status;

  it("lets in those that are allowed, and of them none that are denied", async () => {
    expect(await statusWith({})).toBe(200);
    expect(await statusWith({ allow: ["127.0.0.0/8"] })).toBe(200);
    expect(await statusWith({ allow: ["10.0.0.0/8", "::1"] })).toBe(403);
    expect(await statusWith({ allow: ["127.0.0.0/8"], deny: ["127.0.0.1"] })).toBe(403);
    expect(await statusWith({ deny: ["127.0.0.1/32"], status: 404 })).toBe(404);
  });

  it("judges by another address, if it is told to, and by none", async () => {
    expect(await statusWith({ allow: ["2001:db8::/32"], addressOf: () => "2001:db8::7" })).toBe(200);
    expect(await statusWith({ allow: ["127.0.0.1"], addressOf: () => undefined })).toBe(403);
    expect(await statusWith({ deny: ["127.0.0.1"], addressOf: () => undefined })).toBe(200);
    expect(await statusWith({ allow: [], allowLocal: true, addressOf: () => undefined })).toBe(200);
    expect(await statusWith({ allow: ["127.0.0.1"], addressOf: () => "garbage" })).toBe(403);
  });

  it.each(["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "localhost", "10.0.0.1/8/8", "10.0.0.1/-1"])(
    "refuses %j",
    (entry) => expect(() => ipAccess({ deny: [entry] })).toThrow(/neither an IP address nor a network/),
  );

  it("takes an IPv4 address in the clothes of IPv6 for what it is", () => {
    const list = new AddressList(["10.0.0.0/8"]);
    expect([list.has("::ffff:10.1.1.1"), list.has("::ffff:11.1.1.1"), list.has("::1")]).toEqual([true, false, false]);
  });

  it.each([
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:80", "::1"],
    ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
    ["[fe80::1%eth0]:80", "fe80::1"],
    ["unix:", undefined],
    ["", undefined],
  ])("finds the address in %j", (text, expected) => expect(ipAddressOf(text)).toBe(expected));

  it("refuses a status that lets in", () => {
    expect(() => ipAccess({ status: 200 })).toThrow(/200 is no status/);
  });
});

describe("header rules", () => {
  it("remove, set, set where there is none, and add", async () => {
    const rules = {
      remove: ["X-Gone", "x-internal-*"],
      set: { "x-set": "new", "x-who": (session: { request: { path: string } }) => session.request.path },
      setDefault: { "x-there": "no", "x-absent": "yes", "x-none": () => undefined },
      append: { "x-more": "2" },
    };
    const lines = "X-Gone: 1\r\nX-Internal-A: 1\r\nx-internal-b: 2\r\nX-Set: old\r\nX-There: kept\r\nX-More: 1\r\n";
    const expected = { "x-set": "new", "x-who": "/p", "x-there": "kept", "x-absent": "yes", "x-more": "1, 2" };
    const { response, seen } = await through(ask("/p", lines), {
      modules: [headerRules({ request: rules, response: rules })],
      answer: okResponse("ok", lines),
    });
    for (const headers of [seen?.head.headers, response.headers]) {
      const fields = Object.entries(headers?.toJSON() ?? {}).filter(([name]) => name.startsWith("x-"));
      expect(Object.fromEntries(fields)).toEqual(expected);
    }
  });

  it("refuse what cannot be sent", () => {
    expect(() => headerRules({ request: { set: { "a b": "c" } } })).toThrow(/not the name of a field/);
    expect(() => headerRules({ request: { remove: ["*"] } })).toThrow(/not the name of a field/);
    expect(() => headerRules({ response: { append: { a: "b\r\nc: d" } } })).toThrow(/not a value/);
  });

  it("whose function makes what cannot be sent fail one request", async () => {
    const { response } = await through(ask(), { modules: [headerRules({ request: { set: { a: () => "b\r\nc" } } })] });
    expect(response.status).toBe(500);
  });
});
