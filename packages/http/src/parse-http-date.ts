/**
 * The time that an HTTP date names, in milliseconds since the epoch; undefined for what is none. All three forms of
 * RFC 9110, 5.6.7 are read: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and
 * `Sun Nov  6 08:49:37 1994`.
 * @param now The present, which the two digits of a year are read by: one that seems more than 50 years ahead is past.
 */
export function parseHttpDate(text: string, now: number = Date.now()): number | undefined {
  const found = IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text);
  const { day = "", month = "", year = "", hour = "", minute = "", second = "" } = found?.groups ?? {};
  if (found === null) return undefined;
  const monthIndex = MONTHS.indexOf(month);
  const fullYear = year.length === 2 ? yearOfTwoDigits(Number(year), now) : Number(year);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(fullYear, monthIndex, Number(day));
  // `Date` would take 31 February for a day of March.
  if (date.getUTCMonth() !== monthIndex || date.getUTCDate() !== Number(day)) return undefined;
  return date.setUTCHours(Number(hour), Number(minute), Number(second));
}

function yearOfTwoDigits(year: number, now: number): number {
  const present = new Date(now).getUTCFullYear();
  const candidate = present - (present % 100) + year;
  return candidate > present + 50 ? candidate - 100 : candidate;
}

const MONTHS: readonly string[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";
const SHORT_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const IMF_FIXDATE = new RegExp(`^${SHORT_DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`);
const RFC_850 = new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^${SHORT_DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`);
