/** How to stop: finish what is in flight, or drop everything at once (`SRV-09`). */
export type StopMode = "graceful" | "fast";

/**
 * Tells a server when to stop, in place of the signals of the process (`SRV-08`): an `AbortSignal` stops it gracefully;
 * a function is given a callback for requests, and returns one that ends the subscription. A further request while the
 * server stops makes it drop what is left.
 */
export type ShutdownSource = AbortSignal | ((request: (mode: StopMode) => void) => () => void);

/** Calls `request` for each request of the source; the function returned ends that. */
export function watchShutdown(source: ShutdownSource, request: (mode: StopMode) => void): () => void {
  if (typeof source === "function") return source(request);
  const abort = (): void => request("graceful");
  if (source.aborted) abort();
  else source.addEventListener("abort", abort, { once: true });
  return () => source.removeEventListener("abort", abort);
}

/** SIGTERM stops gracefully (`SIG-02`), SIGINT at once (`SIG-01`). */
export function processSignals(request: (mode: StopMode) => void): () => void {
  const terminate = (): void => request("graceful");
  const interrupt = (): void => request("fast");
  process.on("SIGTERM", terminate);
  process.on("SIGINT", interrupt);
  return () => {
    process.off("SIGTERM", terminate);
    process.off("SIGINT", interrupt);
  };
}
