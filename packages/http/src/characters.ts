/** Byte is a `tchar` (RFC 9110, 5.6.2): may stand in a field name or a method. */
export const TOKEN = 1;
/** Byte may stand in a field value (RFC 9110, 5.5): HTAB, SP, visible ASCII and `obs-text`. */
export const FIELD_VALUE = 2;
/** Byte may stand in a request target: visible ASCII but `#`, and bytes above 0x7f, which some clients leave unescaped. */
export const TARGET = 4;
/** Byte may stand in a method: upper case, digits, `-` and `_`. Narrower than `token`: every registered method fits. */
export const METHOD = 8;
/** Byte may stand in a host name or IPv4 address (RFC 3986, 3.2.2), but for the comma, which would make a list of it. */
export const HOST_NAME = 16;

/** The classes of each byte, as bits. One look-up replaces a chain of comparisons in the parsers' inner loops. */
export const BYTE_CLASS: Uint8Array = buildClasses();

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** Whether `text` is a token (RFC 9110, 5.6.2), such as a field name. */
export function isToken(text: string): boolean {
  return text.length > 0 && everyCharacter(text, TOKEN);
}

/** Whether `text` may be sent as a field value: no control characters, nothing above 0xff. */
export function isFieldValue(text: string): boolean {
  return everyCharacter(text, FIELD_VALUE);
}

/** Whether each character of `text` is of the class. */
export function everyCharacter(text: string, characterClass: number): boolean {
  for (let i = 0; i < text.length; i++) {
    // Above 0xff the table answers undefined, which no class has.
    if (((BYTE_CLASS[text.charCodeAt(i)] as number) & characterClass) === 0) return false;
  }
  return true;
}

/**
 * The bytes as latin1 characters: what `toString("latin1", start, end)` comes to, without its look at the arguments,
 * which is dearer than a short string.
 */
export function decodeLatin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as Buffer & Latin1Bytes).latin1Slice(start, end);
}

/** A method that every buffer has, and the types leave out. */
interface Latin1Bytes {
  latin1Slice(start: number, end: number): string;
}

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(256);
  const add = (characters: string, characterClass: number): void => {
    for (const character of characters) {
      const code = character.charCodeAt(0);
      classes[code] = (classes[code] as number) | characterClass;
    }
  };
  const upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const alphanumeric = `${upper}${upper.toLowerCase()}0123456789`;
  add(`!#$%&'*+-.^_\`|~${alphanumeric}`, TOKEN);
  add(`${upper}0123456789-_`, METHOD);
  add(`${alphanumeric}-._~%!$&'()*+;=`, HOST_NAME);
  add("\t ", FIELD_VALUE);
  for (let code = 0x21; code <= 0xff; code++) {
    if (code === 0x7f) continue;
    const character = String.fromCharCode(code);
    add(character, character === "#" ? FIELD_VALUE : FIELD_VALUE | TARGET);
  }
  return classes;
}
