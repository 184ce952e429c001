/**
 * Milliseconds of a monotonic clock, read once in each turn of the event loop. A proxy asks for the time several times a
 * request, dozens of requests a turn, for time-outs of seconds: the clock itself would cost more than they are worth.
 */
export function turnTime(): number {
  if (stale) {
    stale = false;
    now = performance.now();
    setImmediate(expire);
  }
  return now;
}

let now = 0;
let stale = true;

function expire(): void {
  stale = true;
}
