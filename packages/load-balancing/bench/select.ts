// What one choice of a backend costs: `npm run bench` in this package.
import { getHeapStatistics } from "node:v8";
import { Backend, LoadBalancer, RoundRobin } from "../src/index.ts";

interface Case {
  readonly name: string;
  readonly backends: number;
  readonly weight: (index: number) => number;
  readonly isIll: (index: number) => boolean;
}

const equal = (): number => 1;
const oneToTen = (index: number): number => 1 + (index % 10);
const none = (): boolean => false;

const cases: readonly Case[] = [
  { name: "3 backends", backends: 3, weight: equal, isIll: none },
  { name: "3 backends, one ill", backends: 3, weight: equal, isIll: (index) => index === 1 },
  { name: "3 backends, weights 1 to 3", backends: 3, weight: (index) => index + 1, isIll: none },
  { name: "1,000 backends", backends: 1_000, weight: equal, isIll: none },
  { name: "1,000 backends, weights 1 to 10", backends: 1_000, weight: oneToTen, isIll: none },
  { name: "1,000 backends, every tenth ill", backends: 1_000, weight: oneToTen, isIll: (index) => index % 10 === 9 },
  { name: "1,000 backends, one well", backends: 1_000, weight: equal, isIll: (index) => index !== 500 },
];

console.log("| select() | ns | bytes allocated |\n| --- | --- | --- |");
for (const each of cases) {
  const { nanoseconds, bytes } = measure(balancerOf(each));
  console.log(`| ${each.name} | ${nanoseconds.toFixed(1)} | ${bytes.toFixed(1)} |`);
}

function balancerOf({ backends, weight, isIll }: Case): LoadBalancer {
  const list = Array.from(
    { length: backends },
    (_, index) => new Backend(`10.0.${index >> 8}.${index & 255}:80`, { weight: weight(index) }),
  );
  const upstreams = LoadBalancer.from(list, { selection: RoundRobin });
  for (const [index, backend] of list.entries()) upstreams.backends.setEnable(backend, !isIll(index));
  return upstreams;
}

/** Median of seven runs after two that warm up, each about 100 ms long. */
function measure(upstreams: LoadBalancer): { readonly nanoseconds: number; readonly bytes: number } {
  let count = 1_000;
  while (timed(upstreams, count).milliseconds < 100) count *= 2;
  for (let warmUp = 0; warmUp < 2; warmUp += 1) timed(upstreams, count);
  const runs = Array.from({ length: 7 }, () => timed(upstreams, count));
  return {
    nanoseconds: (median(runs.map(({ milliseconds }) => milliseconds)) * 1e6) / count,
    bytes: median(runs.map(({ bytes }) => bytes)) / count,
  };
}

function timed(upstreams: LoadBalancer, count: number): { readonly milliseconds: number; readonly bytes: number } {
  const bytesBefore = getHeapStatistics().total_allocated_bytes;
  const start = performance.now();
  let chosen = 0;
  for (let pick = 0; pick < count; pick += 1) if (upstreams.select()) chosen += 1;
  const milliseconds = performance.now() - start;
  const bytes = getHeapStatistics().total_allocated_bytes - bytesBefore;
  // Also keeps the compiler from leaving the loop out.
  if (chosen !== count) throw new Error(`${count - chosen} of ${count} choices found nobody`);
  return { milliseconds, bytes };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
