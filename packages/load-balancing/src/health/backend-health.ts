/** The health of one backend: two flags, and it takes requests when both are set (`LB-26`, `LB-27`). */
export class BackendHealth {
  #healthy = true;
  #enabled = true;
  #contraryResults = 0;

  /** Whether the backend takes requests: it is healthy and enabled. */
  get ready(): boolean {
    return this.#healthy && this.#enabled;
  }

  /** What the checks say. A backend is healthy until enough of them failed. */
  get healthy(): boolean {
    return this.#healthy;
  }

  /** What the operator says. */
  get enabled(): boolean {
    return this.#enabled;
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled;
  }

  /**
   * Takes the result of a check in.
   *
   * @param threshold How many results in a row contrary to the present state turn it.
   * @returns Whether the state turned.
   */
  observe(success: boolean, threshold: number): boolean {
    if (success === this.#healthy) {
      this.#contraryResults = 0;
      return false;
    }
    this.#contraryResults += 1;
    if (this.#contraryResults < threshold) return false;
    this.#healthy = success;
    this.#contraryResults = 0;
    return true;
  }

  /** Takes over what another thread has found out. */
  adopt(healthy: boolean, enabled: boolean): void {
    this.#healthy = healthy;
    this.#enabled = enabled;
    this.#contraryResults = 0;
  }

  /** Forgets what the checks said: healthy until they say otherwise. */
  forget(): void {
    this.#healthy = true;
    this.#contraryResults = 0;
  }
}
