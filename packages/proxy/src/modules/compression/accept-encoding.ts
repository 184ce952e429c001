import { type ContentCoding, canonicalCoding, isDictionaryCoding } from "./content-coding.ts";

/** What a client says it can read (RFC 9110, 12.5.3). */
export class AcceptEncoding {
  readonly #weights: ReadonlyMap<string, number>;
  readonly #others: number;

  private constructor(weights: ReadonlyMap<string, number>, others: number) {
    this.#weights = weights;
    this.#others = others;
  }

  /**
   * @param value The field's value. A client without the field says nothing, and an answer without coding is the one that
   * every client can read. A member that is malformed names nothing that is accepted.
   */
  static parse(value: string | undefined): AcceptEncoding {
    const weights = new Map<string, number>();
    let others = UNSAID;
    for (const member of value === undefined ? [] : value.toLowerCase().split(",")) {
      const [token = "", ...parameters] = member.split(";");
      const name = canonicalCoding(token.trim());
      const weight = weightOf(parameters);
      if (name === "*") others = weight;
      else if (name !== "" && !weights.has(name)) weights.set(name, weight);
    }
    return new AcceptEncoding(weights, others);
  }

  /** Whether a body in this coding may be sent: its name in lower case. */
  accepts(coding: string): boolean {
    return (this.#weights.get(coding) ?? this.#others) > 0;
  }

  /** Whether a body without a coding may not be sent. */
  get refusesIdentity(): boolean {
    return (this.#weights.get("identity") ?? this.#others) === 0;
  }

  /**
   * The coding that the client likes best; of those it likes alike, the first one.
   * @param offers In the server's order of preference.
   * @returns Undefined when none is accepted, or the client would rather have none.
   */
  choose(offers: readonly ContentCoding[]): ContentCoding | undefined {
    let best: ContentCoding | undefined;
    let bestWeight = 0;
    for (const offer of offers) {
      // A client that has a dictionary names what it can do with it; `*` was meant for codings of the time before.
      const weight = this.#weights.get(offer) ?? (isDictionaryCoding(offer) ? 0 : this.#others);
      if (weight <= bestWeight) continue;
      best = offer;
      bestWeight = weight;
    }
    return (this.#weights.get("identity") ?? 0) > bestWeight ? undefined : best;
  }
}

/** The weight of what was not named: neither refused nor accepted. */
const UNSAID = -1;

function weightOf(parameters: readonly string[]): number {
  for (const parameter of parameters) {
    const [name = "", value = ""] = parameter.split("=");
    if (name.trim() !== "q") continue;
    const text = value.trim();
    return WEIGHT.test(text) ? Number(text) : 0;
  }
  return 1;
}

/** RFC 9110, 12.4.2. */
const WEIGHT = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;
