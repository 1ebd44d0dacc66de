import type { Varbind } from "net-snmp";
import { DeviceError, type Identity } from "../../gateway/driver.ts";
import type { Fetcher } from "./fetch.ts";
import type { Settings } from "./settings.ts";
import { textOf } from "./values.ts";

type Key = "vendor" | "model" | "firmware" | "serial";
type Group = Settings["identify"][number];

const module = "1.3.6.1.4.1.1206.4.2.6.1.3.1";
const moduleRows = [1, 2, 3];
/** moduleType of NTCIP 1201: software. */
const software = "3";

/** Where each kind of device says who it is; the first object of each is asked first. */
const groups: Record<Exclude<Group, "ntcip">, readonly [Key, string][]> = {
  // ENTITY-MIB (RFC 6933): entPhysicalMfgName, ModelName, SoftwareRev, FirmwareRev, SerialNum of row 1.
  entity: [
    ["model", "1.3.6.1.2.1.47.1.1.1.1.13.1"],
    ["vendor", "1.3.6.1.2.1.47.1.1.1.1.12.1"],
    ["firmware", "1.3.6.1.2.1.47.1.1.1.1.10.1"],
    ["firmware", "1.3.6.1.2.1.47.1.1.1.1.9.1"],
    ["serial", "1.3.6.1.2.1.47.1.1.1.1.11.1"],
  ],
  // RFC 1628 upsIdent: manufacturer, model, UPS software version.
  ups: [
    ["model", "1.3.6.1.2.1.33.1.1.2.0"],
    ["vendor", "1.3.6.1.2.1.33.1.1.1.0"],
    ["firmware", "1.3.6.1.2.1.33.1.1.3.0"],
  ],
  // UG405 utcType2HardwareType, VendorID, Version.
  utmc: [
    ["model", "1.3.6.1.4.1.13267.3.2.1.5.0"],
    ["vendor", "1.3.6.1.4.1.13267.3.2.1.4.0"],
    ["firmware", "1.3.6.1.4.1.13267.3.2.1.1.0"],
  ],
  // RutOS: productCode, fwVersion, serial.
  teltonika: [
    ["model", "1.3.6.1.4.1.48690.1.3.0"],
    ["firmware", "1.3.6.1.4.1.48690.1.6.0"],
    ["serial", "1.3.6.1.4.1.48690.1.1.0"],
  ],
};

const system: Record<string, string> = {
  sysDescr: "1.3.6.1.2.1.1.1.0",
  sysObjectID: "1.3.6.1.2.1.1.2.0",
  sysName: "1.3.6.1.2.1.1.5.0",
};

/** Asks the system group, and the groups in which devices of a kind name themselves. */
export async function identify(
  fetcher: Fetcher,
  settings: Settings,
  place: string,
  signal: AbortSignal,
): Promise<Identity> {
  const ask = async (oids: readonly string[]): Promise<(string | undefined)[]> => {
    const { found } = await fetcher.fetch(oids, [], signal);
    return oids.map((oid) => textFrom(found.get(oid)?.varbind, settings));
  };
  const identity: Identity = {};
  const fill = (key: Key, text: string | undefined): void => {
    if (text !== undefined && identity[key] === undefined) identity[key] = text;
  };
  const more: Record<string, string> = {};
  const about = await ask(Object.values(system));
  Object.keys(system).forEach((name, index) => {
    const text = about[index];
    if (text !== undefined) more[name] = text;
  });
  for (const group of settings.identify) {
    if (group === "ntcip") await readModules(ask, fill);
    else await readGroup(groups[group], ask, fill);
  }
  if (identity.vendor === undefined && more["sysObjectID"]?.startsWith("1.3.6.1.4.1.48690"))
    identity.vendor = "Teltonika";
  if (Object.keys(more).length > 0) identity.more = more;
  if (Object.keys(identity).length === 0)
    throw new DeviceError("unsupported", `${place}: none of its objects says who it is`);
  return identity;
}

async function readGroup(
  objects: readonly [Key, string][],
  ask: (oids: readonly string[]) => Promise<(string | undefined)[]>,
  fill: (key: Key, text: string | undefined) => void,
): Promise<void> {
  const [[key, oid], ...others] = objects as [[Key, string], ...[Key, string][]];
  const [first] = await ask([oid]);
  if (first === undefined) return;
  fill(key, first);
  const texts = await ask(others.map(([, one]) => one));
  others.forEach(([name], index) => fill(name, texts[index]));
}

/** NTCIP 1201 globalModuleTable: make and model of the first module, version of the software. */
async function readModules(
  ask: (oids: readonly string[]) => Promise<(string | undefined)[]>,
  fill: (key: Key, text: string | undefined) => void,
): Promise<void> {
  const [model] = await ask([`${module}.4.1`]);
  if (model === undefined) return;
  fill("model", model);
  fill("vendor", (await ask([`${module}.3.1`]))[0]);
  let first: string | undefined;
  for (const row of moduleRows) {
    const [version, type] = await ask([`${module}.5.${row}`, `${module}.6.${row}`]);
    first ??= version;
    if (type === undefined && version === undefined) break;
    if (type === software) fill("firmware", version);
  }
  fill("firmware", first);
}

function textFrom(varbind: Varbind | undefined, { charset }: Settings): string | undefined {
  if (varbind === undefined) return undefined;
  const { value } = varbind;
  const text = Buffer.isBuffer(value) ? textOf(value, charset).trim() : String(value);
  return text === "" ? undefined : text;
}
