import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { boundaryViolations } from "./package-boundaries.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

test("a workspace that keeps to the arrows has no violation", () => {
  const root = workspace({
    "package.json": { devDependencies: { vitest: "1" } },
    "packages/http/package.json": { name: "@cirque/http", exports: { ".": "./src/index.ts" } },
    "packages/core/package.json": { name: "@cirque/core", dependencies: { "@cirque/http": "1", pino: "1" } },
    "packages/core/src/index.ts": 'import "node:net";\nimport "@cirque/http";\nimport "pino";\nexport * from "./a.ts";',
    "packages/core/src/a.test.ts": 'import { test } from "vitest";',
    "apps/gateway/package.json": { name: "@cirque/gateway", dependencies: { "@cirque/http": "1" } },
    "e2e/package.json": { name: "@cirque/e2e", devDependencies: { "@cirque/gateway": "1" } },
  });
  expect(boundaryViolations(root)).toEqual([]);
});

test("an arrow that the design does not have is named with what is allowed", () => {
  const root = workspace({
    "package.json": {},
    "packages/http/package.json": { name: "@cirque/http", dependencies: { "@cirque/core": "1" } },
    "packages/core/package.json": { name: "@cirque/core" },
    "packages/proxy/package.json": { name: "@cirque/proxy", dependencies: { "@cirque/load-balancing": "1" } },
    "packages/load-balancing/package.json": { name: "@cirque/load-balancing" },
    "packages/unheard-of/package.json": { name: "@cirque/unheard-of", dependencies: { "@cirque/core": "1" } },
  });
  expect(boundaryViolations(root).sort()).toEqual([
    "packages/http/package.json: http may depend on no other package of Cirque, but lists @cirque/core.",
    "packages/proxy/package.json: proxy may depend on only core and http of Cirque, but lists @cirque/load-balancing.",
    "packages/unheard-of/package.json: unheard-of may depend on no other package of Cirque, but lists @cirque/core.",
  ]);
});

test("a library may not depend on a program", () => {
  const root = workspace({
    "package.json": {},
    "packages/cirque/package.json": { name: "cirque", dependencies: { "@cirque/gateway": "1" } },
    "apps/gateway/package.json": { name: "@cirque/gateway" },
  });
  expect(boundaryViolations(root)).toEqual([
    "packages/cirque/package.json: depends on the program @cirque/gateway. Programs are not libraries.",
  ]);
});

test("a cycle is reported once, development dependencies included", () => {
  const root = workspace({
    "package.json": {},
    "packages/http/package.json": { name: "@cirque/http", devDependencies: { "@cirque/core": "1" } },
    "packages/core/package.json": { name: "@cirque/core", dependencies: { "@cirque/http": "1" } },
  });
  expect(boundaryViolations(root)).toEqual([
    "package.json: the packages depend on each other in a circle: @cirque/core -> @cirque/http -> @cirque/core.",
  ]);
});

test.each([
  ['import pino from "pino";', "imports pino, which is not in the dependencies of packages/core/package.json."],
  ['import { test } from "vitest";', "imports vitest, which is not in the dependencies of packages/core/package.json."],
  [
    'export type A = import("zod").ZodType;',
    "imports zod, which is not in the dependencies of packages/core/package.json.",
  ],
  [
    'const a = await import("@scope/name/deep");',
    "imports @scope/name, which is not in the dependencies of packages/core/package.json.",
  ],
  [
    'export { a } from "@cirque/http/src/a.ts";',
    '"@cirque/http/src/a.ts" reaches into @cirque/http: its exports are ., ./testing.',
  ],
  [
    'import "../../http/src/index.ts";',
    '"../../http/src/index.ts" leaves the package. Import the other package by its name.',
  ],
])("in a source, %s is refused with file and line", (line, message) => {
  const root = workspace({
    "package.json": { devDependencies: { vitest: "1" } },
    "packages/http/package.json": { name: "@cirque/http", exports: { ".": "./a.ts", "./testing": "./b.ts" } },
    "packages/core/package.json": { name: "@cirque/core", dependencies: { "@cirque/http": "1" } },
    "packages/core/src/deep/er.ts": `import "@cirque/http/testing";\n${line.replace("../../", "../../../")}\n`,
  });
  expect(boundaryViolations(root)).toEqual([
    `packages/core/src/deep/er.ts:2: ${message.replace('"../../', '"../../../')}`,
  ]);
});

test("a test may import development dependencies, and nothing that is declared nowhere", () => {
  const root = workspace({
    "package.json": { devDependencies: { vitest: "1" } },
    "packages/http/package.json": { name: "@cirque/http", devDependencies: { undici: "1" } },
    "packages/http/test/client.ts": 'import "undici";\nimport "vitest";\nimport "ws";',
  });
  expect(boundaryViolations(root)).toEqual([
    "packages/http/test/client.ts:3: imports ws, which is not in the dependencies or devDependencies of " +
      "packages/http/package.json.",
  ]);
});

test("a package.json that is not JSON is named", () => {
  const root = workspace({ "package.json": {}, "packages/http/package.json": "{ name: " });
  expect(() => boundaryViolations(root)).toThrow(/packages\/http\/package\.json cannot be read as JSON/);
});

function workspace(files: Record<string, string | object>): string {
  const root = mkdtempSync(join(tmpdir(), "cirque-boundaries-"));
  roots.push(root);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), typeof content === "string" ? content : JSON.stringify(content));
  }
  return root;
}
