import { spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { createLogger } from "../../src/observability/logger.ts";
import { socketsFromSystemd } from "../../src/server/systemd/sockets-from-systemd.ts";

// Prints the sockets that systemd passed to it, what a child process of it sees of them, and answers connections to TCP
// and Unix sockets with the name of the socket.
const sockets = socketsFromSystemd(process.env, process.pid, createLogger());
const look = "env | grep ^LISTEN_; for n in 3 4 5; do [ -e /proc/$$/fd/$n ] && echo $n; done";
const { stdout } = spawnSync("/bin/sh", ["-c", look], { encoding: "utf8" });
for (const { kind, descriptor, name } of sockets) {
  if (kind === "udp") continue;
  createServer((socket) => void socket.end(`${name}\n`)).listen({ fd: descriptor });
}
console.log(JSON.stringify({ sockets, child: stdout.split("\n").filter((line) => line !== "") }));
if (process.argv[2] === "exit") process.exit(0);
