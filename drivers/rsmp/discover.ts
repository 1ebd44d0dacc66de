import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Discovery, type Found, type Look, type Range } from "../../gateway/driver.ts";
import { packetOf, PacketError, PacketReader, parsePacket } from "./codec.ts";
import { readVersion, typeOf } from "./messages.ts";

/** Sites that call: the port is open for a while, each is told that it is not known here, and calls again later. */
export const discovery: Discovery = { turn: 9, onNetwork };

const usualPort = 12_111;
const introductionBytesMax = 65_536;
const callersMax = 32;
const foundMax = 200;

async function* onNetwork(range: Range, { signal, forMs, tell }: Look): AsyncGenerator<Found> {
  const { port = usualPort } = range;
  // The gateway takes the calls itself, and tells of strangers.
  if (range.isTaken(port)) return;
  const queue: Found[] = [];
  const seen = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    const from = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    socket.on("error", () => socket.destroy());
    if (!range.has(from) || sockets.size >= callersMax) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    hear(socket, (siteIds, more) => {
      const [siteId = ""] = siteIds;
      if (seen.has(siteId) || seen.size >= foundMax) return;
      seen.add(siteId);
      const host = (socket.localAddress ?? "0.0.0.0").replace(/^::ffff:/, "");
      queue.push({
        place: `${from} calls :${port}`,
        at: { siteId },
        settings: { host, ...(port === usualPort ? {} : { port }) },
        identity: { more: { siteId: siteIds.join(", "), ...more } },
      });
    });
  });
  tell(`RSMP :${port}`);
  await listening(server, port);
  try {
    const untilMs = performance.now() + forMs;
    while (performance.now() < untilMs) {
      await sleep(50, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw new DeviceError("aborted", "the search was given up");
      yield* queue.splice(0);
    }
  } finally {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE" ? "busy" : error.code === "EACCES" ? "denied" : "refused";
      reject(new DeviceError(code, `port ${port}: ${error.code ?? error.message}`, { cause: error }));
    });
    server.listen(port, "0.0.0.0", () => resolve());
  });
}

/** Hears the first message of a caller, and tells him that he is not known, as a supervisor does (3.2.2, 4.4.7.2). */
function hear(socket: Socket, found: (siteIds: string[], more: Record<string, string>) => void): void {
  const reader = new PacketReader(introductionBytesMax);
  socket.on("data", (chunk: Buffer) => {
    try {
      reader.push(chunk, (packet) => {
        const message = parsePacket(packet);
        const kind = typeOf(message);
        const version = "type" in kind && kind.type === "Version" ? readVersion(message) : undefined;
        if (version === undefined || "rea" in version) {
          socket.destroy();
          return;
        }
        found(version.siteIds, { RSMP: version.versions.join(", "), SXL: version.sxl });
        const rea = `Site id [${version.siteIds.join(",")}] is not known`;
        socket.end(packetOf({ mType: "rSMsg", type: "MessageNotAck", oMId: version.id, rea }));
      });
    } catch (error) {
      if (!(error instanceof PacketError)) throw error;
      socket.destroy();
    }
  });
}
