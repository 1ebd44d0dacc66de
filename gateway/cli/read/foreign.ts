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

interface SerialSettings {
  transport: { type: string; host?: string; port: number | string };
  station: string;
  grammar?: { requests?: Record<string, { send?: string }> };
}

/** A text for the shell's printf between single quotes: control characters and quotes in octal. */
function printfText(text: string): string {
  return Array.from(text)
    .map((one) => {
      if (one === "%" || one === "\\") return one + one;
      return one < " " || one === "'" ? `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}` : one;
    })
    .join("");
}

/** The socat command that asks an instrument on TCP, or listens where it talks by itself. */
function socat({ transport, station, grammar }: SerialSettings): string | undefined {
  if (transport.type !== "tcp") return undefined;
  const place = `TCP:${transport.host}:${transport.port}`;
  const requests = Object.values(grammar?.requests ?? {});
  if (requests.length === 0) return `socat -u ${place} -`;
  const send = requests.find((request) => request.send?.includes("{check}") === false)?.send;
  return send === undefined
    ? undefined
    : `printf '${printfText(send.replaceAll("{station}", station))}' | socat -t 2 - ${place}`;
}

/** The curl command that asks a camera for its time, which needs no login. */
function curl({ host, port, servicePath }: { host: string; port: number; servicePath: string }): string {
  const asked = '<GetSystemDateAndTime xmlns="http://www.onvif.org/ver10/device/wsdl"/>';
  const soap = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>${asked}</s:Body></s:Envelope>`;
  return `curl -H 'Content-Type: application/soap+xml' -d '${soap}' http://${host}:${port}${servicePath}`;
}

/** A foreign command that reads the first of these points; undefined where none is known for the driver. */
export function foreignCommand(
  driver: string,
  settings: Record<string, unknown>,
  points: readonly { address: unknown; publish?: boolean }[],
): string | undefined {
  const first = points.find(({ publish }) => publish !== false);
  if (driver === "mqtt") return mosquittoSub(settings as unknown as MqttSettings);
  if (driver === "serial") return socat(settings as unknown as SerialSettings);
  if (driver === "onvif") return curl(settings as unknown as Parameters<typeof curl>[0]);
  if (driver !== "modbus" || first === undefined) return undefined;
  return mbpoll(settings as unknown as ModbusSettings, first.address as ModbusAddress);
}
