import { generateKeyPairSync } from "node:crypto";
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, it } from "vitest";
import { type JwtAuthenticationOptions, jwtAuthentication } from "../src/index.ts";
import { TestProxy } from "./test-proxy.ts";

const secret = "a secret that is long enough for HS256";
const expected = { issuer: "https://login.example", audience: "api" };
const settings: JwtAuthenticationOptions = { keys: { secret }, ...expected };
const INVALID = [401, 'Bearer realm="restricted", error="invalid_token"'];

function unsigned(claims: JWTPayload = {}, lifeSeconds = 60): SignJWT {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ sub: "ann", iss: expected.issuer, aud: expected.audience, exp: now + lifeSeconds, ...claims });
}

function hs(claims?: JWTPayload, lifeSeconds?: number, key = secret): Promise<string> {
  return unsigned(claims, lifeSeconds).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(key));
}

/** Takes a claim away. */
function without(claim: string): JWTPayload {
  return { [claim]: undefined };
}

async function statusOf(token: string | undefined, options: Partial<JwtAuthenticationOptions> = {}): Promise<unknown> {
  await using proxy = await TestProxy.start(jwtAuthentication({ ...settings, ...options }));
  const outcome = await proxy.ask(token);
  expect(proxy.seen === undefined).toBe(outcome[0] !== 200);
  return outcome;
}

describe("a request", () => {
  it("with a token goes on, and callbacks see its claims", async () => {
    const jwt = jwtAuthentication(settings);
    const subjects: unknown[] = [];
    await using proxy = await TestProxy.start(jwt, {
      requestFilter: (session) => void subjects.push(session.module(jwt).claims?.sub),
    });
    const token = await hs();
    expect(await proxy.ask(token)).toEqual([200, null]);
    expect(proxy.seen?.authorization).toBe(`Bearer ${token}`);
    expect(await proxy.ask(undefined)).toEqual([401, 'Bearer realm="restricted"']);
    expect(subjects).toEqual(["ann"]);
  });

  it("without a token goes on where it may, with one that is not valid never", async () => {
    expect(await statusOf(undefined, { optional: true })).toEqual([200, null]);
    expect(await statusOf("x", { optional: true })).toEqual(INVALID);
  });

  it("with another scheme, or with two fields, has no token that counts", async () => {
    const token = await hs();
    await using proxy = await TestProxy.start(jwtAuthentication(settings));
    expect(await proxy.ask(undefined, { authorization: `Basic ${token}` })).toEqual([401, 'Bearer realm="restricted"']);
    expect(await proxy.ask(undefined, { authorization: `Bearer ${token}, Bearer ${token}` })).toEqual(INVALID);
    expect(await proxy.ask(undefined, { authorization: `bearer  ${token}` })).toEqual([200, null]);
  });

  it("may bring the token elsewhere, and keep it from the origin", async () => {
    await using proxy = await TestProxy.start(
      jwtAuthentication({ ...settings, tokenOf: (session) => session.request.headers.get("x-token"), forward: false }),
    );
    expect(await proxy.ask(undefined, { "x-token": await hs(), authorization: "Basic YTpi" })).toEqual([200, null]);
    expect(proxy.seen?.authorization).toBeUndefined();
  });
});

describe("a token is not valid", () => {
  const now = Math.floor(Date.now() / 1000);
  it.each<[string, () => string | Promise<string>]>([
    ["when it is none", () => "garbage"],
    ["when it is empty", () => ""],
    ["when it is very long", () => "a.".repeat(5000)],
    ["when it is not signed", () => new UnsecuredJWT({ iss: expected.issuer, aud: "api", exp: now + 60 }).encode()],
    ["with another secret", () => hs({}, 60, `${secret}!`)],
    ["when it has been changed", async () => (await hs()).replace(/^([^.]+)\.../, "$1.xx")],
    ["when it is over", () => hs({}, -6)],
    ["when it has no end", () => hs(without("exp"))],
    ["before its time", () => hs({ nbf: now + 60 })],
    ["of another issuer", () => hs({ iss: "https://other.example" })],
    ["for another audience", () => hs({ aud: ["other"] })],
    ["without an issuer", () => hs(without("iss"))],
  ])("%s", async (_name, token) => expect(await statusOf(await token())).toEqual(INVALID));

  it("without a claim that has to be there", async () => {
    expect(await statusOf(await hs(), { requiredClaims: ["role"] })).toEqual(INVALID);
    expect(await statusOf(await hs({ role: "x" }), { requiredClaims: ["role"] })).toEqual([200, null]);
  });

  it("but clocks may differ a little, as little as is said", async () => {
    expect(await statusOf(await hs({}, -3))).toEqual([200, null]);
    expect(await statusOf(await hs({}, -3), { clockToleranceMs: 0 })).toEqual(INVALID);
    expect(await statusOf(await hs({}, -50), { clockToleranceMs: 60_000 })).toEqual([200, null]);
  });

  it("when its algorithm is not one of those that may be used", async () => {
    expect(await statusOf(await hs(), { algorithms: ["HS512"] })).toEqual(INVALID);
  });
});

describe("signatures", () => {
  it.each(["RS256", "PS384", "ES256", "ES384", "EdDSA"])(
    "of %s are verified with a public key and a key set",
    async (alg) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
      const other = await generateKeyPair(alg);
      const sign = (key: CryptoKey): Promise<string> => unsigned().setProtectedHeader({ alg, kid: "k" }).sign(key);
      const jwks = { keys: [{ ...(await exportJWK(publicKey)), alg, kid: "k" }] };
      for (const keys of [{ publicKey: await exportSPKI(publicKey) }, { jwks }]) {
        expect(await statusOf(await sign(privateKey), { keys })).toEqual([200, null]);
        expect(await statusOf(await sign(other.privateKey), { keys })).toEqual(INVALID);
      }
    },
  );

  it("made with a public key as a secret are not valid", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    expect(await statusOf(await hs({}, 60, pem), { keys: { publicKey: pem } })).toEqual(INVALID);
  });

  it("of another kind of key than the one that is there are not valid", async () => {
    const { publicKey } = await generateKeyPair("RS256", { extractable: true });
    const { privateKey } = await generateKeyPair("ES256");
    const token = await unsigned().setProtectedHeader({ alg: "ES256" }).sign(privateKey);
    expect(await statusOf(token, { keys: { publicKey: await exportSPKI(publicKey) } })).toEqual(INVALID);
  });
});

describe("claims", () => {
  it("decide what may be done", async () => {
    const allow = async (claims: JWTPayload): Promise<boolean> => claims.role === "administrator";
    expect(await statusOf(await hs({ role: "administrator" }), { allow })).toEqual([200, null]);
    expect(await statusOf(await hs(), { allow })).toEqual([
      403,
      'Bearer realm="restricted", error="insufficient_scope"',
    ]);
  });

  it("are sent to the origin, and what the client says of them is not", async () => {
    const claimsToHeaders = { sub: "X-User", roles: "x-roles", age: "x-age", more: "x-more", constructor: "x-none" };
    await using proxy = await TestProxy.start(jwtAuthentication({ ...settings, claimsToHeaders, optional: true }));
    const forged = { "x-user": "root", "x-none": "1", "x-age": "99" };
    const claims = { sub: "Ånn 100%\r\nx: y", roles: ["a", "b,c"], age: 7, more: { a: ["ü"] } };
    expect(await proxy.ask(await hs(claims), forged)).toEqual([200, null]);
    expect(proxy.seen).toMatchObject({
      "x-user": "%C3%85nn 100%25%0D%0Ax: y",
      "x-roles": "a,b%2Cc",
      "x-age": "7",
      "x-more": '{"a":["%C3%BC"]}',
    });
    expect(proxy.seen?.["x-none"]).toBeUndefined();
    await proxy.ask(undefined, forged);
    expect(proxy.seen?.["x-user"]).toBeUndefined();
    expect(proxy.seen?.["x-age"]).toBeUndefined();
  });
});

const x25519 = generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "pem" }).toString();

it.each<[string, Partial<Record<keyof JwtAuthenticationOptions, unknown>>]>([
  ["no issuer", { issuer: [] }],
  ["an empty audience", { audience: "" }],
  ["a short secret", { keys: { secret: "short" } }],
  ["no key", { keys: { publicKey: "garbage" } }],
  ["a key for encryption", { keys: { publicKey: x25519 } }],
  ["a private key", { keys: { publicKey: "-----BEGIN PRIVATE KEY-----\n" } }],
  ["no key set", { keys: { jwks: {} } }],
  ["no URL", { keys: { jwksUrl: "keys.json" } }],
  ["a URL of a file", { keys: { jwksUrl: "file:///keys.json" } }],
  ["a time-out that is none", { keys: { jwksUrl: "http://a/", timeoutMs: -1 } }],
  ["a secret for RS256", { algorithms: ["RS256"] }],
  ["no signature", { algorithms: ["none"] }],
  ["a field that is none", { claimsToHeaders: { sub: "a b" } }],
  ["a realm that cannot be sent", { realm: 'a"b' }],
  ["a tolerance that is none", { clockToleranceMs: Number.NaN }],
])("refuses %s", (_name, options) => {
  expect(() => jwtAuthentication({ ...settings, ...options } as JwtAuthenticationOptions)).toThrow(/^JWT: /);
});
