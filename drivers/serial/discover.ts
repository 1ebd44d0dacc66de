import { setTimeout as sleep } from "node:timers/promises";
import {
  DeviceError,
  type Discovery,
  type Fit,
  type Found,
  type LineToSearch,
  type Look,
  type WirePlace,
} from "../../gateway/driver.ts";
import { Deframer } from "./deframer.ts";
import { tell as frameOf } from "./frame.ts";
import { type Settings, settings as schema } from "./settings.ts";
import { openStream, placeOf, type Transport } from "./stream.ts";

/** Instruments that talk by themselves. Nothing is said to any: what one would answer nobody knows beforehand. */
export const discovery: Discovery = { turn: 0, atPort, onLine, fit };

/** At which they talk, the usual ones first; NMEA is 4800. */
const usualBauds = [9600, 4800, 19_200, 38_400, 115_200, 2400];
const heardBytesMax = 16_384;
const shownMax = 60;
/** Of a shorter wait nothing can be told: most speak once a second. */
const leastMs = 1200;
const connectMs = 1000;

async function* atPort({ host, port }: WirePlace, look: Look): AsyncGenerator<Found> {
  const transport: Transport = { type: "tcp", host, port };
  const heard = await hear(transport, leastMs, look);
  if (isText(heard)) yield foundAs(transport, placeOf(transport), heard);
}

async function* onLine({ port, bauds = usualBauds }: LineToSearch, look: Look): AsyncGenerator<Found> {
  let isNoise = false;
  for (const baud of bauds) {
    const transport: Transport = { type: "serial", port, baud, parity: "none", dataBits: 8, stopBits: 1 };
    // On a silent line the other speeds are as silent.
    const heard = await hear(transport, isNoise || baud === bauds[0] ? look.forMs : leastMs, look);
    isNoise ||= heard.length > 0;
    if (!isText(heard)) continue;
    const written = { type: "serial", port, baud } as const;
    yield foundAs(written, `${port} ${baud}-8N1`, heard);
    return;
  }
}

/** What comes within a time; a port that cannot be opened is an error of the line, a TCP port of nobody. */
async function hear(transport: Transport, forMs: number, { signal, tell }: Look): Promise<Buffer> {
  const line = { isOver: false };
  let heard = Buffer.alloc(0);
  const user = {
    onBytes: (bytes: Uint8Array) => void (heard = Buffer.concat([heard, bytes]).subarray(0, heardBytesMax)),
    onLost: () => void (line.isOver = true),
  };
  const way = transport.type === "serial" ? ` ${transport.baud}-8N1` : "";
  tell(`${placeOf(transport)}${way}`);
  const stop = new AbortController();
  const giveUp = (): void => stop.abort(new DeviceError("aborted", "the search was given up"));
  signal.addEventListener("abort", giveUp);
  if (signal.aborted) giveUp();
  try {
    const stream = await openStream(transport, user, connectMs, stop.signal);
    const untilMs = performance.now() + forMs;
    while (performance.now() < untilMs && !line.isOver && linesIn(heard) < 3)
      await sleep(50, undefined, { signal: stop.signal }).catch(() => {
        line.isOver = true;
      });
    await stream.close();
  } catch (error) {
    if (!(error instanceof DeviceError) || transport.type === "serial") throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
  if (stop.signal.aborted) throw stop.signal.reason;
  return heard;
}

const linesIn = (bytes: Buffer): number => bytes.filter((byte) => byte === 0x0a || byte === 0x0d).length / 2;

/** Mostly letters and digits, with the ends of lines: at a wrong speed the high bits are as good as random. */
function isText(bytes: Buffer): boolean {
  const plain = bytes.filter(
    (byte) => (byte >= 0x20 && byte < 0x7f) || [0x02, 0x03, 0x09, 0x0a, 0x0d].includes(byte),
  );
  return bytes.length >= 8 && plain.length >= 0.95 * bytes.length;
}

function foundAs(transport: Record<string, unknown>, place: string, heard: Buffer): Found {
  const lines = heard.toString("latin1").split(/[\r\n]+/);
  // The first line has mostly begun before it was heard.
  const line = (lines.length > 2 ? lines[1] : lines[0]) ?? "";
  const shown = line.replaceAll(/[^ -~]/g, "·").slice(0, shownMax);
  return { place, at: { transport }, identity: { more: { heard: shown } }, heard: [heard] };
}

/** How many of the lines that were heard are whole frames of the profile's grammar. */
function fit({ heard = [], at }: Found, profile: { settings: unknown }): Fit | undefined {
  const given = schema.safeParse({ ...(profile.settings as object), ...at });
  if (!given.success) return undefined;
  const { grammar, zone }: Settings = given.data;
  const bytes = Buffer.concat(heard.map((one) => Buffer.from(one)));
  const wholes = new Deframer(grammar.framing).push(bytes);
  const known = wholes.filter((whole) =>
    Object.entries(grammar.frames).some(([name, frame]) => {
      const isTold =
        frame.match.length > 0 || frame.split === "json" || grammar.framing.checksum !== undefined;
      if (!isTold) return false;
      const told = frameOf(name, frame, whole, zone);
      const fields = Object.values(frame.fields);
      return (
        told !== undefined &&
        (fields.length === 0 || fields.some((field) => told.part(field.at) !== undefined))
      );
    }),
  );
  const of = Math.max(wholes.length, Math.floor(linesIn(bytes)) - 1);
  return of < 1 ? undefined : { fits: known.length, of };
}
