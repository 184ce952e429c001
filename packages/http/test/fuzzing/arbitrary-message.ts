import { HeaderMap, RequestHead, ResponseHead } from "@cirque/http";
import fc from "fast-check";
import { type Mutation, mutationKinds } from "./mutation.ts";

/** How a body is sent: as one piece of known length, or in chunks, with trailers. */
export type Body =
  | { readonly kind: "none" }
  | { readonly kind: "sized"; readonly data: string }
  | { readonly kind: "chunked"; readonly chunks: readonly string[]; readonly trailers: HeaderMap };

const TOKEN = [..."!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"];
const byte = fc.integer({ min: 0, max: 0xff }).map((code) => String.fromCharCode(code));
const valueByte = byte.filter((character) => character === "\t" || (character >= " " && character !== "\x7f"));

const token = fc.string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 12 });
const data = fc.string({ unit: byte, maxLength: 40 });
const value = fc.string({ unit: valueByte, maxLength: 20 });

/** Fields that say nothing of framing or authority, so that any of them may be anywhere. */
const MEANINGFUL = new Set(["host", "content-length", "transfer-encoding"]);
const field = fc.tuple(token, value).filter(([name]) => !MEANINGFUL.has(name.toLowerCase()));

export const arbitraryHeaders: fc.Arbitrary<HeaderMap> = fc
  .array(field, { maxLength: 8 })
  .map((fields) => new HeaderMap(fields));

export const arbitraryBody: fc.Arbitrary<Body> = fc.oneof(
  fc.constant<Body>({ kind: "none" }),
  data.map((text): Body => ({ kind: "sized", data: text })),
  fc.record({
    kind: fc.constant("chunked" as const),
    chunks: fc.array(
      data.filter((text) => text.length > 0),
      { maxLength: 5 },
    ),
    trailers: arbitraryHeaders,
  }),
);

export const arbitraryRequest: fc.Arbitrary<RequestHead> = fc
  .record({
    method: fc.constantFrom("GET", "POST", "M-SEARCH", "PURGE_ALL", "X1"),
    path: fc.string({ unit: valueByte.filter((character) => !"\t #".includes(character)), maxLength: 20 }),
    headers: arbitraryHeaders,
  })
  .map(({ method, path, headers }) => new RequestHead(method, `/${path}`, headers.append("Host", "a.example")));

export const arbitraryResponse: fc.Arbitrary<ResponseHead> = fc
  .record({
    // Those without a body are told apart by the tests of framing.
    status: fc.integer({ min: 200, max: 999 }).filter((status) => status !== 204 && status !== 304),
    reason: value,
    headers: arbitraryHeaders,
  })
  .map(({ status, reason, headers }) => {
    const head = new ResponseHead(status, headers);
    head.reason = reason;
    return head;
  });

export const arbitraryMutations: fc.Arbitrary<readonly Mutation[]> = fc.array(
  fc.record({
    kind: fc.nat(mutationKinds() - 1),
    place: fc.nat(1 << 16),
    choice: fc.nat(1 << 16),
  }),
  { minLength: 1, maxLength: 6 },
);
