import { DeviceError, type DriverContext, type Identity } from "../../gateway/driver.ts";
import { Client } from "./client.ts";
import { aborted } from "./errors.ts";
import { Fetcher } from "./fetch.ts";
import { identify } from "./identify.ts";
import { Peer } from "./peer.ts";
import type { Settings } from "./settings.ts";

/** A scope holds at most so many addresses, and so many are asked at once, each once. */
const addressesMax = 1024;
const atOnce = 8;

/** What a device that answers to "public" is given; a host does not load zod, so all is written out. */
const foundSettings: Omit<Settings, "host"> = {
  port: 161,
  version: "1",
  community: "public",
  timeout: 700,
  maxOidsPerPdu: 1,
  identify: ["entity", "ntcip", "ups", "utmc", "teltonika"],
  charset: "utf8",
  sign: {
    memory: "changeable",
    number: 1,
    duration: 60,
    activationPriority: 128,
    runTimePriority: 128,
    beacon: false,
    owner: "kerb",
    validateTimeout: 10_000,
    charset: "latin1",
    stripDiacritics: false,
    checkFont: true,
  },
};

/**
 * Asks each IPv4 address of a CIDR once for its identity, by SNMP v1 with the community "public".
 * Rejects with `DeviceError("unsupported")` for a scope of another form, or of more than 1024 addresses.
 */
export async function* discover(
  scope: string,
  _context: DriverContext,
  signal: AbortSignal,
): AsyncGenerator<{ settings: Settings; identity: Identity }> {
  const { addresses, port } = addressesIn(scope);
  for (let at = 0; at < addresses.length; at += atOnce) {
    const some = addresses.slice(at, at + atOnce);
    const found = await Promise.all(some.map((host) => ask({ ...foundSettings, host, port }, signal)));
    yield* found.filter((one) => one !== undefined);
  }
}

async function ask(settings: Settings, signal: AbortSignal) {
  const place = `${settings.host}:${settings.port}`;
  if (signal.aborted) throw aborted(place);
  let client: Client | undefined;
  try {
    client = new Client(await Peer.connect(settings.host, settings.port, place, signal), settings, place);
    const identity = await identify(new Fetcher(client, 1), settings, place, signal);
    return { settings: { ...settings, timeout: 2000 }, identity };
  } catch (error) {
    if (error instanceof DeviceError && error.code !== "aborted") return undefined;
    throw error;
  } finally {
    client?.close();
  }
}

/** "192.168.1.0/24" or "192.168.1.0/24:501": its addresses without those of network and broadcast. */
function addressesIn(scope: string): { addresses: string[]; port: number } {
  const [, a = "", b = "", c = "", d = "", bits = "32", port = "161"] =
    /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?(?::(\d{1,5}))?$/.exec(scope) ?? [];
  const parts = [a, b, c, d].map(Number);
  const count = 2 ** (32 - Number(bits));
  const isSound = a !== "" && parts.every((part) => part <= 255) && Number(bits) <= 32;
  if (!isSound || count > addressesMax || Number(port) > 65_535)
    throw new DeviceError("unsupported", `"${scope}" is no network of at most ${addressesMax} addresses`);
  const first = parts.reduce((sum, part) => sum * 256 + part, 0);
  const base = first - (first % count);
  const all = Array.from({ length: count }, (_, index) => base + index);
  const usable = count > 2 ? all.slice(1, -1) : all;
  const addresses = usable.map((one) =>
    [24, 16, 8, 0].map((shift) => Math.floor(one / 2 ** shift) % 256).join("."),
  );
  return { addresses, port: Number(port) };
}
