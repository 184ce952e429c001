import { inspect } from "node:util";
import { CirqueError } from "../errors/cirque-error.ts";

/**
 * The options with the default for each that is missing or undefined: an unset variable must not switch off a time-out,
 * or the verification of a certificate.
 * @throws CirqueError `InvalidArgument` for a value that is not of its default's kind, or a number that is negative or
 * none: a timer would take such a number for "at once".
 */
export function withDefaults<Resolved extends object>(defaults: Resolved, options: Partial<Resolved>): Resolved {
  const resolved = { ...defaults };
  for (const name in options) {
    const value = options[name];
    if (value === undefined) continue;
    const kind = typeof defaults[name];
    if (kind === "number" ? !isAmount(value) : kind === "boolean" && typeof value !== "boolean") {
      const expected = kind === "number" ? "a number, 0 or more" : "true or false";
      throw new CirqueError("InvalidArgument", `${name} is ${inspect(value)}; expected ${expected}`, {
        context: { option: name },
      });
    }
    resolved[name] = value;
  }
  return resolved;
}

function isAmount(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}
