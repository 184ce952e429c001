import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import "../../examples/testing/gateway.test.ts";

const root = join(import.meta.dirname, "../..");

it("the examples of the guide are the files", async () => {
  const page = await readFile(join(root, "../../docs/guide/testing.md"), "utf8");
  const blocks = Array.from(page.matchAll(/```ts\n(.*?)```/gs), ([, code]) => code);
  for (const name of ["gateway.ts", "gateway.test.ts"]) {
    expect(blocks).toContain(await readFile(join(root, "examples/testing", name), "utf8"));
  }
});
