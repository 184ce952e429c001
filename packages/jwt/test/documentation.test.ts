import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "..");
const readme = await readFile(join(root, "README.md"), "utf8");

it("the README has each setting", async () => {
  const source = await readFile(join(root, "src/jwt-authentication.ts"), "utf8");
  const names = Array.from(source.matchAll(/^ {2}readonly ([a-zA-Z]+)\??: /gm), ([, name]) => name);
  const rows = Array.from(readme.matchAll(/^\| (`[^|]+) \|/gm), ([, cell = ""]) => cell.match(/[a-zA-Z]+/g)).flat();
  expect(names.length).toBeGreaterThan(10);
  expect(rows.toSorted()).toEqual([...names, "name", "order"].toSorted());
});

it("the example of the README is the file, and does what it says", async () => {
  const [, code] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  const file = join(root, "examples/api-gateway.ts");
  expect(code).toBe(await readFile(file, "utf8"));

  const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "k", alg: "RS256" }] };
  const server = createServer((request, response) =>
    response.end(request.url === "/keys" ? JSON.stringify(jwks) : request.headers["x-user"]),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `http://${address}`;
  const token = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT({ sub: "ann", iss: issuer, aud: "api", ...claims })
      .setProtectedHeader({ alg: "RS256", kid: "k" })
      .setExpirationTime("1m")
      .sign(privateKey);
  const program = spawn(process.execPath, ["--conditions=@cirque/source", file], {
    env: { ...process.env, ORIGIN: address, ISSUER: issuer, LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let output = "";
    program.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    while (!/listening on .*:(\d+)/.test(output)) await once(program.stdout, "data");
    const url = `http://127.0.0.1:${/listening on .*:(\d+)/.exec(output)?.[1]}/`;
    const ask = async (method: string, claims?: Record<string, unknown>): Promise<[number, string]> => {
      const headers = claims === undefined ? {} : { authorization: `Bearer ${await token(claims)}` };
      const response = await fetch(url, { method, headers });
      return [response.status, await response.text()];
    };
    expect(await ask("GET", {})).toEqual([200, "ann"]);
    expect((await ask("GET"))[0]).toBe(401);
    expect((await ask("DELETE", {}))[0]).toBe(403);
    expect((await ask("DELETE", { role: "administrator" }))[0]).toBe(200);
    while (!output.includes("nobody GET / 401")) await once(program.stdout, "data");
    expect(output).toContain("ann GET / 200");
  } finally {
    program.kill("SIGKILL");
    await once(program, "close");
    server.close();
    server.closeAllConnections();
  }
});
