import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { expect, it } from "vitest";
import { type JwtKeys, jwtAuthentication } from "../src/index.ts";
import { TestProxy } from "./test-proxy.ts";

/** An issuer with a key set that tests change. */
class Issuer implements AsyncDisposable {
  readonly #server = createServer((request, response) => {
    this.asked++;
    this.answer(request, response);
  });
  asked = 0;
  keys: JWK[] = [];
  answer: RequestListener = (_request, response) => void response.end(JSON.stringify({ keys: this.keys }));
  #kid = 0;

  static async start(): Promise<Issuer> {
    const issuer = new Issuer();
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  /** A new key, in place of the others, and a token that is signed with it. */
  async rotate(): Promise<string> {
    const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
    const kid = `k${++this.#kid}`;
    this.keys = [{ ...(await exportJWK(publicKey)), kid, alg: "ES256" }];
    return new SignJWT({ iss: "i", aud: "a" })
      .setProtectedHeader({ alg: "ES256", kid })
      .setExpirationTime("1m")
      .sign(privateKey);
  }

  proxy(times: Omit<Extract<JwtKeys, { jwksUrl: string }>, "jwksUrl"> = {}): Promise<TestProxy> {
    return TestProxy.start(jwtAuthentication({ keys: { jwksUrl: this.url, ...times }, issuer: "i", audience: "a" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

it("are asked for once, also by many at a time", async () => {
  await using issuer = await Issuer.start();
  const token = await issuer.rotate();
  await using proxy = await issuer.proxy();
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => proxy.ask(token)));
  expect(outcomes.map(([status]) => status)).toEqual(Array(10).fill(200));
  expect(issuer.asked).toBe(1);
});

it("are asked for again when a token names another, but not more often than is said", async () => {
  await using issuer = await Issuer.start();
  const first = await issuer.rotate();
  await using eager = await issuer.proxy({ cooldownMs: 0 });
  await using slow = await issuer.proxy();
  expect([await eager.ask(first), await slow.ask(first)].map(([status]) => status)).toEqual([200, 200]);
  const second = await issuer.rotate();
  expect((await eager.ask(second))[0]).toBe(200);
  expect((await slow.ask(second))[0]).toBe(401);
  expect((await eager.ask(first))[0]).toBe(401);
});

it("that cannot be had make 503, and the issuer is left alone for a while", async () => {
  await using issuer = await Issuer.start();
  const token = await issuer.rotate();
  issuer.answer = (_request, response) => void response.writeHead(500).end();
  await using proxy = await issuer.proxy();
  expect((await proxy.ask(token))[0]).toBe(503);
  expect((await proxy.ask(token))[0]).toBe(503);
  expect(issuer.asked).toBe(1);
});

it("that were there once stay in use while the issuer is away", async () => {
  await using issuer = await Issuer.start();
  const token = await issuer.rotate();
  await using proxy = await issuer.proxy({ cacheMs: 0, cooldownMs: 0 });
  await using strict = await issuer.proxy({ cacheMs: 0, cooldownMs: 0, staleMs: 0 });
  expect([await proxy.ask(token), await strict.ask(token)].map(([status]) => status)).toEqual([200, 200]);
  issuer.answer = (request) => void request.socket.destroy();
  expect((await proxy.ask(token))[0]).toBe(200);
  expect((await strict.ask(token))[0]).toBe(503);
  expect(issuer.asked).toBeGreaterThan(2);
});

it.each<[string, RequestListener]>([
  ["is slow", () => {}],
  ["stops in the middle", (_request, response) => void response.write('{"keys":')],
  ["sends no JSON", (_request, response) => void response.end("<html>")],
  ["sends no key set", (_request, response) => void response.end("[]")],
  ["sends elsewhere", (_request, response) => void response.writeHead(302, { location: "/other" }).end()],
  ["sends too much", (_request, response) => void response.end(`{"keys":[],"x":"${"x".repeat(1024 * 1024)}"}`)],
])("of an issuer that %s cannot be had", async (_name, answer) => {
  await using issuer = await Issuer.start();
  const token = await issuer.rotate();
  issuer.answer = answer;
  await using proxy = await issuer.proxy({ timeoutMs: 200 });
  expect((await proxy.ask(token))[0]).toBe(503);
});
