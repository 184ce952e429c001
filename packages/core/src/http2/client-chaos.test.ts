import { HeaderMap, RequestHead } from "@cirque/http";
import {
  dataFrame,
  FrameType,
  goawayFrame,
  headersFrame,
  http2Frame,
  type RawHttp2Connection,
  RawHttp2Origin,
  rstStreamFrame,
  settled,
} from "@cirque/testing";
import { expect, it } from "vitest";
import { HttpConnector } from "../connectors/http-connector.ts";
import { HttpPeer } from "../connectors/http-peer.ts";
import { CirqueError, isCirqueError } from "../errors/cirque-error.ts";

/** Numbers that are the same in each run. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A number from 0 to one less than `sides`. */
  roll(sides: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (this.#state >> 8) % sides;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.roll(items.length)] as T; // it is one of their indices
  }
}

const CODES = [0, 1, 2, 7, 8, 11, 13];
const OK = 0x88;

/** What an origin that has gone mad does about a stream. */
function misbehave(connection: RawHttp2Connection, streamId: number, dice: Dice): void {
  for (let count = 1 + dice.roll(3); count > 0; count--) {
    switch (dice.roll(12)) {
      case 0:
      case 1:
        connection.send(headersFrame(streamId, [OK], true));
        break;
      case 2:
        connection.send(headersFrame(streamId, [OK]), dataFrame(streamId, "hello", true));
        break;
      case 3:
        connection.send(headersFrame(streamId, [OK]));
        break;
      case 4:
        connection.send(dataFrame(streamId, "hello", dice.roll(2) === 0));
        break;
      case 5:
      case 6:
        connection.send(rstStreamFrame(streamId, dice.pick(CODES)));
        break;
      case 7:
        if (dice.roll(10) === 0) connection.send(goawayFrame(dice.pick([0, streamId]), dice.pick(CODES)));
        break;
      case 8:
        if (dice.roll(30) === 0) connection.socket.destroy();
        break;
      case 9:
        if (dice.roll(30) === 0) connection.send(Buffer.from("this is not a frame"));
        break;
      default:
        connection.send(http2Frame(WINDOW_UPDATE, 0, dice.pick([0, streamId]), Buffer.from([0, 1, 0, 0])));
    }
  }
}

const WINDOW_UPDATE = 8;

/** A request with a body, which may be given up at any point. @returns what became of it. */
async function request(connector: HttpConnector, peer: HttpPeer, dice: Dice): Promise<unknown> {
  const giveUp = CirqueError.internal("ConnectionClosed", "given up");
  try {
    const session = await connector.session(peer);
    try {
      session.writeHead(new RequestHead("POST", "/", { host: "a.example" }), true);
      for (let count = dice.roll(4); count > 0; count--) session.write(Buffer.alloc(dice.pick([10, 1_000, 100_000])));
      if (dice.roll(3) > 0) session.end(dice.roll(2) === 0 ? undefined : new HeaderMap([["x-a", "1"]]));
      if (dice.roll(6) === 0) session.abort(giveUp);
      const { status } = await session.readHead();
      await new Promise<void>((resolve, reject) => {
        session.readBody({
          onData: () => dice.roll(10) === 0 && session.abort(giveUp),
          onEnd: () => resolve(),
          onError: reject,
        });
      });
      return status;
    } finally {
      connector.release(session, peer);
    }
  } catch (error) {
    return error;
  }
}

it.each([1, 2, 3, 4])(
  "whatever an origin does, each request ends and nothing is left: seed %d (P2, P3, P4)",
  async (seed) => {
    const dice = new Dice(seed);
    await using origin = await RawHttp2Origin.start();
    const connector = new HttpConnector();
    const watch = async (): Promise<void> => {
      for (let index = 0; ; index++) {
        const connection = await origin.connections.at(index);
        void misbehaveOn(connection, dice);
      }
    };
    void watch();
    const peer = new HttpPeer(origin.address, { http: "2", maxStreams: 20, readTimeoutMs: 200, writeTimeoutMs: 200 });
    for (let round = 0; round < 6; round++) {
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => request(connector, peer, dice)));
      expect(outcomes.filter((outcome) => outcome !== 200 && !isCirqueError(outcome))).toEqual([]);
    }
    connector.close();
    const open = (): boolean => origin.connections.items.some(({ socket }) => !socket.destroyed);
    while (open()) await settled();
    expect(connector.idleConnections).toBe(0);
  },
);

async function misbehaveOn(connection: RawHttp2Connection, dice: Dice): Promise<void> {
  for (let index = 0; !connection.socket.destroyed; index++) {
    const { type, flags, streamId, payload } = await connection.frames.at(index);
    if (type === FrameType.Ping && flags === 0) connection.send(http2Frame(FrameType.Ping, 1, 0, payload));
    const concerns = type === FrameType.Headers || (type === FrameType.Data && dice.roll(3) === 0);
    if (concerns) misbehave(connection, streamId, dice);
  }
}
