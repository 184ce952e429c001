/**
 * One field line, as a range of the text that it stands in.
 *
 * A received head is decoded to one string, and its fields are ranges of that string: names and values become strings
 * of their own only when somebody asks, and fields that nobody changed leave again as one slice. Fields never change;
 * header maps share them.
 */
export class Field {
  readonly text: string;
  /** Where the name begins. */
  readonly start: number;
  readonly nameEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Behind the CRLF of the line. */
  readonly end: number;

  constructor(text: string, start: number, nameEnd: number, valueStart: number, valueEnd: number, end: number) {
    this.text = text;
    this.start = start;
    this.nameEnd = nameEnd;
    this.valueStart = valueStart;
    this.valueEnd = valueEnd;
    this.end = end;
  }

  /** A field of its own text. Name and value have been checked by the caller. */
  static of(name: string, value: string): Field {
    const text = `${name}: ${value}\r\n`;
    const valueStart = name.length + 2;
    return new Field(text, 0, name.length, valueStart, valueStart + value.length, text.length);
  }

  /** The name as it was spelt. */
  get name(): string {
    return this.text.slice(this.start, this.nameEnd);
  }

  /** The value without surrounding white space. */
  get value(): string {
    return this.text.slice(this.valueStart, this.valueEnd);
  }

  /** Whether the name is `lowerCaseName`, whatever its case here. */
  is(lowerCaseName: string): boolean {
    return this.nameEnd - this.start === lowerCaseName.length && this.#spells(this.start, lowerCaseName);
  }

  /** Whether the whole value is `lowerCaseValue`, whatever its case here. */
  valueIs(lowerCaseValue: string): boolean {
    return this.valueEnd - this.valueStart === lowerCaseValue.length && this.#spells(this.valueStart, lowerCaseValue);
  }

  #spells(at: number, lowerCase: string): boolean {
    const text = this.text;
    for (let i = 0; i < lowerCase.length; i++) {
      let code = text.charCodeAt(at + i);
      if (code >= 0x41 && code <= 0x5a) code += 0x20;
      if (code !== lowerCase.charCodeAt(i)) return false;
    }
    return true;
  }
}
