/** Asked for the value each time the text is made. */
export type GaugeSource = () => number | Promise<number>;

/** How long a source may take. Less than the whole answer of a thread may: one source does not cost it the others. */
const sourceTimeoutMs = 800;

/** A gauge whose value is asked of a source, and which is not a number while that does not tell. */
export class SourceGauge {
  /** Tells sources of the same labels. */
  readonly key: string;
  value: number = Number.NaN;
  readonly #source: GaugeSource;
  #asked: Promise<void> | undefined;

  constructor(source: GaugeSource, key: string) {
    this.#source = source;
    this.key = key;
  }

  /** Asks the source. One that has not answered yet is not asked again. */
  async refresh(): Promise<void> {
    this.#asked ??= this.#ask().finally(() => {
      this.#asked = undefined;
    });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.value = Number.NaN;
        resolve();
      }, sourceTimeoutMs);
    });
    await Promise.race([this.#asked, late]);
    clearTimeout(timer);
  }

  async #ask(): Promise<void> {
    try {
      const value: unknown = await this.#source();
      this.value = typeof value === "number" ? value : Number.NaN;
    } catch {
      // One source that fails must not hide all other metrics; the format has a word for "not known".
      this.value = Number.NaN;
    }
  }
}
