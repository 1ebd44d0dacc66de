import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

// Below those that the system gives to connections that go out: the port is still free when its owner comes back.
const first = 20_000;
const count = 12_000;

function listens(thing: NodeJS.EventEmitter, listen: () => void): Promise<boolean> {
  const outcome = new Promise<boolean>((resolve) => {
    thing.once("listening", () => resolve(true)).once("error", () => resolve(false));
  });
  listen();
  return outcome;
}

async function opens(
  thing: NodeJS.EventEmitter & { close(): unknown },
  listen: () => void,
): Promise<boolean> {
  if (!(await listens(thing, listen))) return false;
  const closed = once(thing, "close");
  thing.close();
  await closed;
  return true;
}

/** Ours until this process ends: an abstract Unix socket stands in no port's way and outlives nobody. */
async function isOurs(port: number): Promise<boolean> {
  const name = createServer();
  return listens(name, () => name.listen(`\0kerb-test-port-${port}`).unref());
}

/** A port of 127.0.0.1 that nobody listens on, neither TCP nor UDP, and that no other process has been given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (!(await isOurs(port))) continue;
    const server = createServer();
    if (!(await opens(server, () => server.listen(port, "127.0.0.1")))) continue;
    const socket = createSocket("udp4");
    if (!(await opens(socket, () => socket.bind(port, "127.0.0.1")))) continue;
    return port;
  }
}
