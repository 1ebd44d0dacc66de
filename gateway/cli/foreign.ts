/** Commands of programs that are not ours, which read the same device: the second opinion of a technician. */

interface ModbusSettings {
  transport: {
    type: "tcp" | "rtu-over-tcp" | "rtu";
    host?: string;
    port: number | string;
    baud?: number;
    parity?: string;
  };
  unit: number;
  order: string;
}

interface ModbusAddress {
  table: "holding" | "input" | "coil" | "discrete";
  register: number;
  type: string;
  order?: string;
}

const tables = { coil: "0", discrete: "1", input: "3", holding: "4" };
const words32 = ["uint32", "int32", "float32"];

/** mbpoll's type, count and word order for one point; text and 64-bit values are shown as hex. */
function mbpollType({ table, type, order }: ModbusAddress, deviceOrder: string): string {
  const format = tables[table];
  if (table === "coil" || table === "discrete") return format;
  const inOrder = order ?? deviceOrder;
  if (words32.includes(type) && (inOrder === "ABCD" || inOrder === "CDAB")) {
    return `${format}:${type === "float32" ? "float" : "int"}${inOrder === "ABCD" ? " -B" : ""}`;
  }
  if (type === "uint16" || type === "int16") return format;
  return `${format}:hex`;
}

function mbpollCount({ type }: ModbusAddress, format: string): number {
  if (!format.includes("hex")) return 1;
  return type.endsWith("64") ? 4 : 2;
}

/** The mbpoll command that reads one point once; undefined where mbpoll cannot (RTU frames over TCP). */
function mbpoll({ transport, unit, order }: ModbusSettings, address: ModbusAddress): string | undefined {
  const format = mbpollType(address, order);
  const what = `-a ${unit} -t ${format} -r ${address.register + 1} -c ${mbpollCount(address, format)} -1`;
  if (transport.type === "tcp")
    return `mbpoll -m tcp -p ${transport.port} ${what} ${transport.host ?? "127.0.0.1"}`;
  if (transport.type === "rtu-over-tcp") return undefined;
  return `mbpoll -m rtu -b ${transport.baud ?? 9600} -P ${transport.parity ?? "none"} ${what} ${transport.port}`;
}

interface MqttSettings {
  host: string;
  port?: number;
  tls?: { ca?: string };
  username?: string;
}

/** The mosquitto_sub command that shows all that a broker hands on. */
function mosquittoSub({ host, port, tls, username }: MqttSettings): string {
  const security =
    tls === undefined ? "" : tls.ca === undefined ? " --tls-use-os-certs" : ` --cafile ${tls.ca}`;
  const login = username === undefined ? "" : ` -u ${username} -P …`;
  return `mosquitto_sub -h ${host} -p ${port ?? (tls === undefined ? 1883 : 8883)}${security}${login} -v -t '#'`;
}

/** A foreign command that reads the first of these points; undefined where none is known for the driver. */
export function foreignCommand(
  driver: string,
  settings: Record<string, unknown>,
  points: readonly { address: unknown; publish?: boolean }[],
): string | undefined {
  const first = points.find(({ publish }) => publish !== false);
  if (driver === "mqtt") return mosquittoSub(settings as unknown as MqttSettings);
  if (driver !== "modbus" || first === undefined) return undefined;
  return mbpoll(settings as unknown as ModbusSettings, first.address as ModbusAddress);
}
