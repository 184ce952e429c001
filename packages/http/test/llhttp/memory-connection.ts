import { Duplex } from "node:stream";

/** A connection in memory. What is written to it is dropped; what it reads is given to it as events, by `deliver`. */
export function memoryConnection(): Duplex {
  const connection = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  connection.on("error", () => {}); // what is wrong with the bytes is told elsewhere
  return connection;
}

/** Delivers the pieces and the end behind them. All happens within the call. */
export function deliver(connection: Duplex, pieces: readonly Buffer[]): void {
  for (const piece of pieces) {
    if (!connection.destroyed) connection.emit("data", piece);
  }
  if (!connection.destroyed) connection.emit("end");
  connection.destroy();
}
