import { DeviceError, type Facts, type Inquiry } from "../../gateway/driver.ts";
import { Batch, Request } from "./batch.ts";
import { readPdu } from "./codec.ts";
import { searchLine } from "./line-search.ts";
import type { Link } from "./link.ts";
import type { Settings } from "./settings.ts";
import { joinLine } from "./shared-line.ts";
import { hostAndPort } from "./socket.ts";
import { TcpLink } from "./tcp.ts";

/** Who else answers where a Modbus device does not. */

/** Units that many devices have as they come, for who asks whether anybody is there at all. */
const usualUnits = [1, 2, 255, 247];
const unitsMax = 5;
const askMsUsual = 800;

type Transport = Settings["transport"];

interface Asking {
  /** Longest wait for one answer. */
  askMs: number;
  signal: AbortSignal;
}

/** Whether any unit takes a question, whatever it answers; a gateway's "nobody there" is no answer of a unit. */
async function ask(link: Link, unit: number, signal: AbortSignal): Promise<boolean> {
  const request = new Request(readPdu("holding", 0, 1), "read holding 0", 2);
  await link.run(new Batch([request], link.framing, unit, () => {}), signal);
  const isOfGateway = request.exception === 10 || request.exception === 11;
  return request.state === "answered" || (request.state === "refused" && !isOfGateway);
}

async function openTo(transport: Transport, unit: number, { askMs, signal }: Asking): Promise<Link> {
  if (transport.type !== "tcp") return joinLine(transport, askMs, "diagnosis", signal);
  const { host, port } = transport;
  const link = new TcpLink({
    host,
    port,
    unit,
    place: hostAndPort(host, port),
    timeoutMs: askMs,
    inFlightMax: 1,
  });
  await link.open(signal);
  return link;
}

/** The first of some units that answers on a transport. */
async function firstOf(
  transport: Transport,
  units: readonly number[],
  asking: Asking,
): Promise<number | undefined> {
  for (const unit of units) {
    let link: Link | undefined;
    try {
      link = await openTo(transport, unit, asking);
      if (await ask(link, unit, asking.signal)) return unit;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      if (asking.signal.aborted) return undefined;
    } finally {
      await link?.close();
    }
  }
  return undefined;
}

const samePlace = (one: Transport, other: Transport): boolean =>
  one.type === "rtu" || other.type === "rtu"
    ? one.type === other.type && one.port === other.port
    : one.host === other.host && one.port === other.port;

/** Who else answers there, and whether it is another framing or another line setting that is spoken. */
export async function look(
  settings: Settings,
  { failure, others, askMs = askMsUsual, searchMs, signal }: Inquiry<Settings>,
): Promise<Facts> {
  const { transport, unit } = settings;
  const asking = { askMs, signal };
  if (failure.code !== "silent" && failure.code !== "hung-up" && failure.code !== "garbage") return {};
  const mates = others.filter((one) => samePlace(one.transport, transport)).map((one) => one.unit);
  // Who answers nobody because it speaks the other framing often hangs up on what it cannot read.
  if (transport.type !== "rtu") {
    const { host, port } = transport;
    const type = transport.type === "tcp" ? "rtu-over-tcp" : "tcp";
    if ((await firstOf({ type, host, port }, [unit], asking)) !== undefined)
      return { "modbus.answersAs": type };
  }
  const units = [...new Set([...mates, ...usualUnits])].filter((one) => one !== unit).slice(0, unitsMax);
  if (transport.type === "rtu" && searchMs !== undefined) {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(searchMs)]);
    return searchLine(transport, { unit, mates: units }, inTime);
  }
  if (failure.code !== "silent") return {};
  const answering = await firstOf(transport, units, asking);
  return answering === undefined
    ? { "modbus.unitsTried": units.join(", ") }
    : { "modbus.answeringUnit": answering, "line.answers": `unit ${answering}` };
}
