/**
 * The `Date` field value of now (RFC 9110, 5.6.7), built once a second: a proxy writes it on each response.
 * @param now Milliseconds since the epoch.
 */
export function httpDate(now: number = Date.now()): string {
  if (now < cachedFrom || now >= cachedFrom + 1000) {
    cachedFrom = Math.floor(now / 1000) * 1000;
    cached = new Date(cachedFrom).toUTCString();
  }
  return cached;
}

let cachedFrom = Number.NEGATIVE_INFINITY;
let cached = "";
