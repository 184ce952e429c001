import { isIP, type Socket } from "node:net";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";
import type { Cancellation } from "./cancellation.ts";
import { ConnectAttempt, type SourceAddresses } from "./connect-attempt.ts";
import type { ResolvedAddress } from "./dns/resolver.ts";
import type { Peer } from "./peer.ts";

/** Settings of `dial`. */
export interface DialOptions extends SourceAddresses {
  /** How long an address is given before the next one is tried beside it. Default 250 ms, at least 10 (RFC 8305, 8). */
  readonly happyEyeballsDelayMs?: number;
}

/**
 * Connects to the first of the addresses that answers: Happy Eyeballs version 2 (RFC 8305, 4 and 5; CONN-07). Families take
 * turns. Each attempt gets a head start; when it fails, the next begins at once. When one succeeds, the others are given up.
 *
 * @param addresses One at least; undefined for a Unix socket.
 * @param wrapped Whether a TLS socket is going to read the transport by itself.
 * @throws The error of the only attempt, or an `AggregateError` of all, with the `code` that tells most. The reason when it
 * is cancelled.
 */
export function dial(
  peer: Peer,
  addresses: readonly ResolvedAddress[] | undefined,
  wrapped: boolean,
  options: DialOptions,
  cancellation: Cancellation,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const targets = addresses === undefined ? [undefined] : interleaved(reachable(peer, addresses));
    const { happyEyeballsDelayMs = 250 } = options;
    const delayMs = Math.max(MIN_DELAY_MS, happyEyeballsDelayMs);
    const running = new Set<ConnectAttempt>();
    const errors: Error[] = [];
    let next = 0;
    let timer: NodeJS.Timeout | undefined;

    const settle = (): void => {
      next = targets.length;
      clearTimeout(timer);
      cancellation.onCancel = undefined;
      for (const attempt of running) attempt.cancel();
      running.clear();
    };
    const onCancel = (reason: unknown): void => {
      settle();
      reject(withAttempts(reason, errors));
    };
    const failed = (error: Error): void => {
      errors.push(error);
      if (next < targets.length) start();
      else if (running.size === 0) {
        settle();
        reject(failureOf(errors));
      }
    };
    const start = (): void => {
      clearTimeout(timer);
      const target = targets[next++];
      if (next < targets.length) timer = setTimeout(start, delayMs);
      let attempt: ConnectAttempt | undefined;
      try {
        attempt = new ConnectAttempt(peer, target, wrapped, options, {
          onOpen(socket) {
            if (attempt !== undefined) running.delete(attempt);
            settle();
            resolve(socket);
          },
          onFailure(error) {
            if (attempt !== undefined) running.delete(attempt);
            failed(error);
          },
        });
        running.add(attempt);
      } catch (error) {
        // An option that is wrong is wrong for all addresses.
        settle();
        reject(error);
      }
    };

    if (targets.length === 0) {
      const { localAddress } = peer.options;
      reject(failure("EADDRNOTAVAIL", `${peer.address} has no address that ${localAddress} could connect to`));
    } else if (cancellation.cancelled) reject(cancellation.reason);
    else {
      cancellation.onCancel = onCancel;
      start();
    }
  });
}

/** RFC 8305, 8. */
const MIN_DELAY_MS = 10;

/** Of a name's addresses, only those of the same family can be reached from a source address. */
function reachable(peer: Peer, addresses: readonly ResolvedAddress[]): readonly ResolvedAddress[] {
  const { localAddress, localAddressFallback } = peer.options;
  const family = localAddress === undefined ? 0 : isIP(localAddress);
  if (family === 0 || localAddressFallback || !addresses.some((address) => address.family !== family)) return addresses;
  return addresses.filter((address) => address.family === family);
}

/** RFC 8305, 4: the first family, the other one, the first again. */
function interleaved(addresses: readonly ResolvedAddress[]): readonly ResolvedAddress[] {
  if (addresses.length < 2) return addresses;
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const others = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return Array.from({ length: Math.max(first.length, others.length) }, (_, index) => [
    first[index],
    others[index],
  ]).flatMap((pair) => pair.filter((address) => address !== undefined));
}

function failureOf(errors: readonly Error[]): Error {
  const [only] = errors;
  if (only !== undefined && errors.length === 1) return only;
  // That there is no way to one family is common, and says nothing about the peer.
  const telling = errors.findLast((error) => !NO_WAY.has(codeOf(error) ?? "")) ?? errors.at(-1);
  const message = `none of ${errors.length} addresses could be reached: ${errors.map(({ message: text }) => text).join("; ")}`;
  return Object.assign(new AggregateError(errors, message), { code: codeOf(telling) });
}

const NO_WAY: ReadonlySet<string> = new Set(["ENETUNREACH", "EHOSTUNREACH", "EAFNOSUPPORT", "EADDRNOTAVAIL"]);

/** A time-out that knows what had failed before it. */
function withAttempts(reason: unknown, errors: readonly Error[]): unknown {
  if (errors.length === 0 || !isCirqueError(reason) || reason.cause !== undefined) return reason;
  const { code, message, source, retry, context } = reason;
  return new CirqueError(code, message, { source, retry, context, cause: failureOf(errors) });
}

function codeOf(error: Error | undefined): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
