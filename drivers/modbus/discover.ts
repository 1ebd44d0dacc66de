import {
  DeviceError,
  type Discovery,
  type Found,
  type Identity,
  type LineToSearch,
  type Look,
  type WirePlace,
} from "../../gateway/driver.ts";
import { Batch, Request } from "./batch.ts";
import { lineText } from "./diagnose.ts";
import { BusScan, type Framed, openBus } from "./bus-scan.ts";
import { readPdu } from "./codec.ts";
import { identify } from "./identify.ts";
import { usualFramings } from "./line-search.ts";
import type { Link } from "./link.ts";
import { type Settings, settings as schema } from "./settings.ts";
import { joinLine } from "./shared-line.ts";
import { hostAndPort } from "./socket.ts";
import { identifySunSpec } from "./sunspec.ts";
import { TcpLink } from "./tcp.ts";

/** Units on TCP if nobody names others: most devices there are 1, or answer to 255 (Messaging on TCP/IP, 4.4.2). */
const tcpUnits = [1, 255];
/** Devices on a line are counted from 1, and lines are short. */
const lineUnits = Array.from({ length: 32 }, (_, i) => i + 1);
/** Behind a serial device server the wire is as slow as any. */
const serverUnits = lineUnits.slice(0, 8);
const timeoutMs = 1000;
const lineTimeoutMs = 500;
type Transport = Settings["transport"];

/** Modbus devices: by function 3, which every one answers, and by function 43 or SunSpec, if only to say no. */
export const discovery: Discovery = { tcp: [502], turn: 2, atPort, onLine };

const anonymous = (error: unknown): error is DeviceError =>
  error instanceof DeviceError && !["aborted", "closed"].includes(error.code);

async function* atPort({ host, port }: WirePlace, look: Look): AsyncGenerator<Found> {
  const { units = tcpUnits } = look;
  const end = hostAndPort(host, port);
  const transport: Transport = { type: "tcp", host, port };
  let isModbus = false;
  let before: string | undefined;
  for (const unit of units) {
    look.tell(`${end} unit ${unit}`);
    const place = `${end} unit ${unit}`;
    const link = new TcpLink({ host, port, unit, place, timeoutMs, inFlightMax: 1 });
    try {
      await link.open(look.signal);
      const presence = await presenceOf(link, unit, look.signal);
      // A gateway that says that the unit is not there is one itself.
      isModbus ||= presence !== "silent";
      if (presence !== "there") continue;
      const found = await described(link, { ...schema.parse({ transport, unit }) }, place, look.signal);
      const same = JSON.stringify([found.identity, found.settings]);
      // One that takes any unit for its own is one device.
      if (before === same && look.units === undefined) return;
      before = same;
      yield { place, at: { transport, unit }, ...found };
      if (look.units === undefined) return;
    } catch (error) {
      if (!anonymous(error)) throw error;
      // Whoever answers something else, or hangs up on it, is no Modbus of any kind.
      if (error.code !== "silent") return;
    } finally {
      await link.close();
    }
  }
  if (!isModbus) yield* atServer({ host, port }, look);
}

/** A serial device server: the RTU frames of the units behind it. */
async function* atServer({ host, port }: WirePlace, look: Look): AsyncGenerator<Found> {
  const transport: Transport = { type: "rtu-over-tcp", host, port };
  const { units = serverUnits } = look;
  try {
    yield* onBus(transport, units, look);
  } catch (error) {
    // Whatever waits at this port is nobody of ours.
    unsaid(error);
  }
}

async function* onLine({ port, bauds, parities }: LineToSearch, look: Look): AsyncGenerator<Found> {
  const { units = lineUnits } = look;
  const given = (bauds ?? parities) === undefined ? usualFramings : framings(bauds, parities);
  for (const framed of given) {
    const transport: Transport = { type: "rtu", port, ...framed, dataBits: 8, stopBits: 1 };
    let count = 0;
    for await (const found of onBus(transport, units, look)) {
      count++;
      yield found;
    }
    // All devices of a line speak in one way.
    if (count > 0) return;
  }
}

function framings(bauds: LineToSearch["bauds"], parities: LineToSearch["parities"]): Framed[] {
  return (bauds ?? [...new Set(usualFramings.map(({ baud }) => baud))]).flatMap((baud) =>
    (parities ?? (["none", "even", "odd"] as const)).map((parity) => ({ baud, parity })),
  );
}

async function* onBus(
  transport: Exclude<Transport, { type: "tcp" }>,
  units: readonly number[],
  look: Look,
): AsyncGenerator<Found> {
  const isPort = transport.type === "rtu";
  const end = isPort ? transport.port : hostAndPort(transport.host, transport.port);
  const way = isPort ? ` ${lineText(transport)}` : " RTU";
  const bus = await openBus(transport, look.signal);
  let present: number[];
  try {
    present = await new BusScan(bus).units(units, look.signal, (unit) =>
      look.tell(`${end}${way} unit ${unit}`),
    );
  } finally {
    await bus.close();
  }
  for (const unit of present) {
    const place = `${end}${way} unit ${unit}`;
    look.tell(place);
    const link = await joinLine(transport, lineTimeoutMs, place, look.signal);
    try {
      const found = await described(link, schema.parse({ transport, unit }), place, look.signal);
      yield { place, at: { transport: written(transport), unit }, ...found };
    } finally {
      await link.close();
    }
  }
}

/** As a site file has it: without what is so anyway. */
function written(transport: Transport): Record<string, unknown> {
  if (transport.type !== "rtu") return transport;
  const { type, port, baud, parity } = transport;
  return { type, port, baud, ...(parity === "none" ? {} : { parity }) };
}

/** Does anybody answer a read of the first register, be it with a no? */
async function presenceOf(
  link: Link,
  unit: number,
  signal: AbortSignal,
): Promise<"there" | "absent" | "silent"> {
  for (const table of ["holding", "input"] as const) {
    const request = new Request(readPdu(table, 0, 1), `read ${table} 0`, 2);
    await link.run(new Batch([request], link.framing, unit, () => {}), signal);
    if (request.state === "lost") continue;
    // Exceptions of a gateway in front of the unit (Application Protocol 1.1b3, 7).
    return request.exception === 10 || request.exception === 11 ? "absent" : "there";
  }
  return "silent";
}

/** Who it is, where it says so. */
async function described(
  link: Link,
  settings: Settings,
  place: string,
  signal: AbortSignal,
): Promise<{ identity: Identity; settings?: Record<string, unknown> }> {
  const own = await identify(link, settings.unit, place, signal).catch(unsaid);
  if (own !== undefined && Object.keys(own).length > 0) return { identity: own };
  const common = await identifySunSpec(link, settings, place, signal).catch(unsaid);
  return common === undefined ? { identity: {} } : { identity: common, settings: { sunspec: true } };
}

/** It is there, and does not know this question. */
function unsaid(error: unknown): undefined {
  if (!anonymous(error)) throw error;
}
