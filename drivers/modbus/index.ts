import { DeviceError, type Driver } from "../../gateway/driver.ts";
import { isBitTable } from "./codec.ts";
import { ModbusConnection } from "./connection.ts";
import { lineKey } from "./line.ts";
import type { Link } from "./link.ts";
import type { Address, Settings } from "./settings.ts";
import { joinLine } from "./shared-line.ts";
import { hostAndPort } from "./socket.ts";
import { TcpLink } from "./tcp.ts";

/** Modbus TCP, RTU and RTU over TCP: reads coils, inputs and registers, and identifies by function 43/14. */
export const driver: Driver<Settings, Address> = {
  name: "modbus",

  line: ({ transport }) => (transport.type === "tcp" ? undefined : lineKey(transport)),

  async connect(settings, context, signal) {
    const place = placeOf(settings);
    const link = await openLink(settings, place, signal).catch((error: unknown) => {
      if (error instanceof DeviceError) throw error;
      throw new DeviceError("refused", `${place}: ${String(error)}`, { cause: error });
    });
    return new ModbusConnection(link, settings, place, context);
  },

  describe({ table, register, type, order, bit, length }) {
    if (isBitTable(table)) return `${table} ${register}`;
    const detail =
      type === "bool" ? ` bit ${bit ?? 0}` : type === "text" ? ` of ${length ?? 1} registers` : "";
    return `${table} ${register} ${type}${detail}${order === undefined ? "" : ` ${order}`}`;
  },
};

/** Where a device is, at the head of each error message: "192.168.1.9:502 unit 3". */
function placeOf({ transport, unit }: Settings): string {
  const end = transport.type === "rtu" ? transport.port : hostAndPort(transport.host, transport.port);
  return `${end} unit ${unit}`;
}

async function openLink(settings: Settings, place: string, signal: AbortSignal): Promise<Link> {
  const { transport, unit, timeout: timeoutMs, requestsInFlight: inFlightMax } = settings;
  if (transport.type !== "tcp") {
    if (unit === 0)
      throw new DeviceError("unsupported", `${place}: unit 0 is a broadcast, which nobody answers`);
    return joinLine(transport, timeoutMs, place, signal);
  }
  const link = new TcpLink({
    host: transport.host,
    port: transport.port,
    unit,
    place,
    timeoutMs,
    inFlightMax,
  });
  await link.open(signal);
  return link;
}
