import { createSocket } from "node:dgram";
import { DeviceError, type Discovery, type Found, type Look, type WirePlace } from "../../gateway/driver.ts";
import { Client } from "./client.ts";
import { aborted } from "./errors.ts";
import { Fetcher } from "./fetch.ts";
import { readHeader } from "./header.ts";
import { identify } from "./identify.ts";
import { Peer } from "./peer.ts";
import { settings as schema } from "./settings.ts";

/**
 * Agents: by the community "public", which everybody reads with, first as SNMPv2c, then as v1; then those of SNMPv3,
 * which say to anybody which engine they are (RFC 3414, 4).
 */
export const discovery: Discovery = { udp: [161], turn: 3, atPort };

const timeoutMs = 1000;

/** GetRequest of SNMPv3 by nobody, who asks for a report: message 1, no engine, no user, no objects. */
const whoAreYou = Buffer.from(
  "303a020103300f02020001020300ffe3040104020103" +
    "0410300e0400020100020100040004000400" +
    "301204000400a00c020200010201000201003000",
  "hex",
);

async function* atPort({ host, port }: WirePlace, { signal, tell }: Look): AsyncGenerator<Found> {
  const place = `${host}:${port}`;
  tell(place);
  for (const version of ["2c", "1"] as const) {
    const answered = await ask(host, port, version, signal);
    if (answered === "refused") return;
    if (answered === undefined) continue;
    const settings = { version, community: "public" };
    yield { place, at: { host, port }, settings, ...answered };
    return;
  }
  const engine = await engineOf(host, port, signal);
  if (engine === undefined) return;
  const more = { snmpEngineID: engine };
  const needs = ["security"];
  yield { place, at: { host, port }, settings: { version: "3" }, identity: { more }, needs };
}

async function ask(
  host: string,
  port: number,
  version: "1" | "2c",
  signal: AbortSignal,
): Promise<Pick<Found, "identity"> | "refused" | undefined> {
  const settings = schema.parse({ host, port, version, timeout: timeoutMs });
  const place = `${host}:${port}`;
  if (signal.aborted) throw aborted(place);
  let client: Client | undefined;
  try {
    client = new Client(await Peer.connect(host, port, place, signal), settings, place);
    return { identity: await identify(new Fetcher(client, 1), settings, place, signal) };
  } catch (error) {
    if (!(error instanceof DeviceError) || error.code === "aborted") throw error;
    if (error.code === "unsupported") return { identity: {} };
    return ["refused", "unreachable"].includes(error.code) ? "refused" : undefined;
  } finally {
    client?.close();
  }
}

/** The engine of an agent of SNMPv3, in hex; undefined: nobody answers. */
async function engineOf(host: string, port: number, signal: AbortSignal): Promise<string | undefined> {
  const place = `${host}:${port}`;
  const socket = createSocket("udp4");
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const giveUp = (): void => reject(aborted(place));
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  signal.addEventListener("abort", giveUp, { once: true });
  socket.on("error", () => resolve(undefined));
  socket.on("message", (bytes) => {
    const header = readHeader(bytes);
    if (header?.version === 3 && header.engineId !== "") resolve(header.engineId.slice(0, 64));
  });
  // Connected: nobody else is heard.
  socket.connect(port, host, () => socket.send(whoAreYou, () => {}));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
    socket.close();
  }
}
