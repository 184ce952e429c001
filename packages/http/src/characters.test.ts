import { expect, it } from "vitest";
import { decodeLatin1 } from "./characters.ts";
import { isFieldValue, isToken } from "./index.ts";

const everyCharacter = Array.from({ length: 0x101 }, (_, code) => String.fromCharCode(code));

it("a token has the characters of RFC 9110, 5.6.2, and at least one of them", () => {
  expect(everyCharacter.filter(isToken).join("")).toBe(
    "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~",
  );
  expect(isToken("")).toBe(false);
  expect(isToken("a b")).toBe(false);
});

it("a field value has tabs, spaces, visible characters and bytes above 0x7f", () => {
  const refused = everyCharacter
    .filter((character) => !isFieldValue(character))
    .map((character) => character.charCodeAt(0));
  const controls = Array.from({ length: 0x20 }, (_, code) => code).filter((code) => code !== 0x09);
  expect(refused).toEqual([...controls, 0x7f, 0x100]);
  expect(isFieldValue("")).toBe(true);
});

it("decodeLatin1 makes a character of each byte", () => {
  const bytes = Buffer.from(Array.from({ length: 0x100 }, (_, code) => code));
  expect(decodeLatin1(bytes, 0, 0x100)).toBe(everyCharacter.slice(0, 0x100).join(""));
  expect(decodeLatin1(bytes, 0x41, 0x44)).toBe("ABC");
  expect(decodeLatin1(bytes, 3, 3)).toBe("");
});
