import * as core from "@cirque/core";
import * as http from "@cirque/http";
import * as l4 from "@cirque/l4";
import * as loadBalancing from "@cirque/load-balancing";
import * as proxy from "@cirque/proxy";
import { describe, expect, it } from "vitest";
import * as cirque from "./index.ts";
import * as prelude from "./prelude.ts";

describe("the facade", () => {
  it("offers every name of every package, none of them twice", () => {
    const names = [core, http, l4, loadBalancing, proxy].flatMap((part) => Object.keys(part));
    expect(names.length).toBeGreaterThan(50);
    // A name exported by two packages would be missing here: `export *` drops what is ambiguous.
    expect(Object.keys(cirque).sort()).toEqual(names.sort());
  });

  it("offers the same things in the prelude", () => {
    for (const [name, value] of Object.entries(prelude)) expect(cirque).toHaveProperty(name, value);
  });
});
