import type { Random } from "./random.ts";

/** One change of a message's text: a kind, where, and what with. Any numbers make a valid mutation. */
export interface Mutation {
  readonly kind: number;
  /** Taken modulo the places that there are. */
  readonly place: number;
  /** Taken modulo the choices that the kind has. */
  readonly choice: number;
}

/** How many kinds there are. */
export function mutationKinds(): number {
  return KINDS.length;
}

/** The text with the change made. */
export function mutate(text: string, { kind, place, choice }: Mutation): string {
  if (text.length === 0) return of(SNIPPETS, choice);
  const change = of(KINDS, kind);
  return change(text, place % text.length, choice);
}

export function randomMutation(random: Random): Mutation {
  return { kind: random.below(KINDS.length), place: random.below(1 << 20), choice: random.below(1 << 20) };
}

type Change = (text: string, at: number, choice: number) => string;

const KINDS: readonly Change[] = [
  // a bit flipped
  (text, at, choice) => replace(text, at, 1, String.fromCharCode(text.charCodeAt(at) ^ (1 << (choice % 8)))),
  // any byte
  (text, at, choice) => replace(text, at, 1, String.fromCharCode(choice & 0xff)),
  // a byte that readers tend to disagree about
  (text, at, choice) => replace(text, at, 1, of(SPECIAL, choice)),
  (text, at, choice) => replace(text, at, 0, of(SPECIAL, choice)),
  // something gone
  (text, at) => replace(text, at, 1, ""),
  (text, at, choice) => replace(text, at, 1 + (choice % 8), ""),
  (text, at) => text.slice(0, at),
  // a line end of another kind
  (text, at, choice) => replace(text, nextOf(text, "\r\n", at), 2, of(LINE_ENDS, choice)),
  (text, at, choice) => replace(text, nextOf(text, "\r\n", at) + 2, 0, of(LINE_STARTS, choice)),
  // a digit changed, added or gone
  (text, at, choice) => replace(text, nextDigit(text, at), 1, `${choice % 10}`),
  (text, at, choice) => replace(text, nextDigit(text, at), 0, of(DIGITS, choice)),
  (text, at) => replace(text, nextDigit(text, at), 1, ""),
  // a line twice, or gone
  (text, at) => duplicateLine(text, at, (line) => line),
  (text, at) => duplicateLine(text, at, (line) => line.toUpperCase()),
  (text, at) => duplicateLine(text, at, (line) => line.replace(/\d/, "7")),
  (text, at) => {
    const [start, end] = lineAt(text, at);
    return replace(text, start, end - start, "");
  },
  // something put in that means something
  (text, at, choice) => replace(text, at, 0, of(SNIPPETS, choice)),
  (text, at, choice) => replace(text, nextOf(text, "\r\n", at) + 2, 0, of(SNIPPETS, choice)),
  (text, at, choice) => replace(text, nextOf(text, ":", at) + 1, 0, of(SNIPPETS, choice)),
];

const SPECIAL = [..."\0\t\n\v\f\r !\"#%'(),:;=?@[\\]^_`{|}~+-.*0189afAFgzGZxX\x01\x1f\x7f\x80\x85\xa0\xad\xff"];
const LINE_ENDS = ["\n", "\r", "\n\r", "\r\r\n", "\r\n\n", " \r\n", "\r\n\r\n", "\t\r\n", "\0\r\n", ""];
const LINE_STARTS = [" ", "\t", "\r\n ", ":", "\n", "\r", "x", "\0"];
const DIGITS = ["0", "1", "5", "00000000000000000", "+", "-", "0x", "_", " ", ".", "f", "9007199254740992"];
const SNIPPETS = [
  "Content-Length: 5\r\n",
  "Content-Length: 0\r\n",
  "Content-Length : 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Transfer-Encoding\t: chunked\r\n",
  "Transfer-Encoding:\r\n chunked\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Connection: upgrade\r\nUpgrade: x\r\n",
  "Host: other.example\r\n",
  "chunked",
  ", chunked",
  "chunked, ",
  "identity, ",
  "gzip, ",
  "HTTP/1.0",
  "HTTP/1.1",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "\r\n",
  "\r\n\r\n",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
  ";a=b",
  ';a="',
  ";",
  "0",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

function of<T>(choices: readonly T[], choice: number): T {
  return choices[choice % choices.length] as T;
}

function replace(text: string, at: number, length: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + length);
}

/** Where `wanted` is found next, going round; the place itself when it is nowhere. */
function nextOf(text: string, wanted: string, at: number): number {
  const next = text.indexOf(wanted, at);
  if (next !== -1) return next;
  const first = text.indexOf(wanted);
  return first === -1 ? at : first;
}

function nextDigit(text: string, at: number): number {
  const next = text.slice(at).search(/\d/);
  return next === -1 ? at : at + next;
}

function lineAt(text: string, at: number): [start: number, end: number] {
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const end = text.indexOf("\n", at);
  return [start, end === -1 ? text.length : end + 1];
}

function duplicateLine(text: string, at: number, change: (line: string) => string): string {
  const [start, end] = lineAt(text, at);
  return replace(text, end, 0, change(text.slice(start, end)));
}
