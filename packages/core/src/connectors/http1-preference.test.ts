import { expect, it } from "vitest";
import { FakeClock } from "../../test/wire/fake-clock.ts";
import { Http1Preference } from "./http1-preference.ts";

it("is remembered for ten minutes, and for a bounded number of origins (H2U-05)", async () => {
  using clock = new FakeClock();
  const preference = new Http1Preference();
  preference.remember("a");
  expect([preference.has("a"), preference.has("b")]).toEqual([true, false]);
  await clock.pass(9 * 60_000);
  expect(preference.has("a")).toBe(true);
  await clock.pass(2 * 60_000);
  expect(preference.has("a")).toBe(false);
  for (let i = 0; i < 5_000; i++) preference.remember(`origin ${i}`);
  expect(preference.size).toBe(1_024);
  expect([preference.has("origin 4999"), preference.has("origin 0")]).toEqual([true, false]);
});
