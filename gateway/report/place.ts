/** Where a device is, in one line and without a secret: only what is named here is ever shown. */

type Settings = Record<string, unknown>;

function inner(value: unknown): Settings {
  return typeof value === "object" && value !== null ? (value as Settings) : {};
}

const shown = (value: unknown): string | undefined =>
  typeof value === "string" || typeof value === "number" ? String(value) : undefined;

function network({ host, port }: Settings): string | undefined {
  const name = shown(host);
  if (name === undefined) return undefined;
  const number = shown(port);
  return number === undefined ? name : `${name.includes(":") ? `[${name}]` : name}:${number}`;
}

function line({ port, baud, dataBits, parity, stopBits }: Settings): string | undefined {
  const path = shown(port);
  if (path === undefined) return undefined;
  const frame = `${shown(dataBits) ?? ""}${(shown(parity) ?? "").slice(0, 1).toUpperCase()}${shown(stopBits) ?? ""}`;
  const rate = shown(baud);
  return rate === undefined ? path : `${path} ${rate}-${frame}`;
}

/** An address without user and password. */
function endpointOf(value: unknown): string | undefined {
  const text = shown(value);
  const url = text === undefined ? null : URL.parse(text);
  return url === null ? undefined : `${url.protocol}//${url.host}${url.pathname}`;
}

/** Names by which a device is told from others at the same address. */
const named = ["unit", "siteId", "station"] as const;
const variables = ["devEui", "deviceId", "lamp", "cabinet", "name"] as const;

/** "tcp 192.168.10.40:502 unit 1", "/dev/ttyS1 9600-8N1 unit 11", "192.168.10.22:80". */
export function placeOf(settings: Settings): string {
  const transport = inner(settings["transport"]);
  const type = shown(transport["type"]);
  const webhook = shown(inner(settings["webhook"])["listen"]);
  const own = inner(settings["variables"]);
  const parts = [
    type,
    network(transport) ?? line(transport) ?? endpointOf(settings["endpoint"]) ?? network(settings),
    webhook === undefined ? undefined : `webhook ${webhook}`,
    ...named.flatMap((name) => {
      const value = shown(settings[name]);
      return value === undefined || value === "" ? [] : [`${name} ${value}`];
    }),
    ...variables.flatMap((name) => (shown(own[name]) === undefined ? [] : [`${name} ${shown(own[name])}`])),
  ];
  return parts.filter((part) => part !== undefined).join(" ");
}
