/**
 * Tells the one step that is under way that it is given up: what an `AbortSignal` does, at a fraction of its cost. Each
 * connection that is made would pay for several of those.
 */
export class Cancellation {
  /** Called once, when the step is given up. */
  onCancel: ((reason: unknown) => void) | undefined;
  #controller: AbortController | undefined;
  #cancelled = false;
  #reason: unknown;

  get cancelled(): boolean {
    return this.#cancelled;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The same for whoever takes nothing else. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelled) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  cancel(reason: unknown): void {
    this.#cancelled = true;
    this.#reason = reason;
    const { onCancel } = this;
    this.onCancel = undefined;
    onCancel?.(reason);
    this.#controller?.abort(reason);
  }
}
