import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

// Below those that the system gives to connections that go out: the port is still free when its owner comes back.
const first = 20_000;
const count = 12_000;
const given = new Set<number>();

async function opens(
  thing: NodeJS.EventEmitter & { close(): unknown },
  listen: () => void,
): Promise<boolean> {
  const outcome = Promise.race([
    once(thing, "listening").then(() => true),
    once(thing, "error").then(() => false),
  ]);
  listen();
  const isOpen = await outcome;
  if (!isOpen) return false;
  const closed = once(thing, "close");
  thing.close();
  await closed;
  return true;
}

/** A port of 127.0.0.1 that nobody listens on, neither TCP nor UDP; never the same twice in one process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port)) continue;
    const server = createServer();
    if (!(await opens(server, () => server.listen(port, "127.0.0.1")))) continue;
    const socket = createSocket("udp4");
    if (!(await opens(socket, () => socket.bind(port, "127.0.0.1")))) continue;
    given.add(port);
    return port;
  }
}
