/** How to stop: finish what is in flight, or drop everything at once (`SRV-09`). */
export type StopMode = "graceful" | "fast";

/**
 * What a server can be asked for while it runs (`SRV-09`): to stop; to start its successor and leave (`"upgrade"`); to
 * read its configuration again (`"reload"`); to open its log files again, which somebody has moved (`"reopenLogs"`).
 */
export type ServerRequest = StopMode | "upgrade" | "reload" | "reopenLogs";

/**
 * Tells a server what to do, in place of the signals of the process (`SRV-08`): an `AbortSignal` stops it gracefully;
 * a function is given a callback for requests, and returns one that ends the subscription. A further request to stop
 * while the server stops makes it drop what is left.
 */
export type ShutdownSource = AbortSignal | ((request: (what: ServerRequest) => void) => () => void);

/** Calls `request` for each request of the source; the function returned ends that. */
export function watchShutdown(source: ShutdownSource, request: (what: ServerRequest) => void): () => void {
  if (typeof source === "function") return source(request);
  const abort = (): void => request("graceful");
  if (source.aborted) abort();
  else source.addEventListener("abort", abort, { once: true });
  return () => source.removeEventListener("abort", abort);
}

/** What each signal of the process asks for (`SIG-01` to `SIG-07`). */
const requests: Readonly<Partial<Record<NodeJS.Signals, ServerRequest>>> = {
  SIGTERM: "graceful",
  SIGINT: "fast",
  SIGQUIT: "upgrade",
  SIGUSR2: "upgrade",
  SIGHUP: "reload",
  // Also keeps Node from opening its inspector.
  SIGUSR1: "reopenLogs",
};

/** The signals of the process. */
export function processSignals(request: (what: ServerRequest) => void): () => void {
  const listeners = Object.entries(requests).map(([signal, what]) => {
    const listener = (): void => request(what);
    process.on(signal, listener);
    return [signal, listener] as const;
  });
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
