import { turnTime } from "../connection/turn-time.ts";

/** How long it is remembered: an origin that learns HTTP/2 is found out after that. */
const REMEMBERED_MS = 10 * 60_000;
/** Keys may come from requests: the oldest is forgotten beyond this many. */
const MAX_REMEMBERED = 1_024;

/**
 * Which origins chose HTTP/1.1 when they could have had HTTP/2, or were no good at HTTP/2 (H2U-05). Their requests do not
 * wait for one connection to share.
 */
export class Http1Preference {
  /** When each key is forgotten; in the order in which they came. */
  readonly #until = new Map<string, number>();

  /** How many are remembered. */
  get size(): number {
    return this.#until.size;
  }

  remember(key: string): void {
    this.#until.delete(key);
    this.#until.set(key, turnTime() + REMEMBERED_MS);
    if (this.#until.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#until.keys()) {
      this.#until.delete(oldest);
      return;
    }
  }

  has(key: string): boolean {
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (until > turnTime()) return true;
    this.#until.delete(key);
    return false;
  }
}
