import type { DeviceConfig, Site } from "../../config/config.ts";
import { loadSite } from "../../config/config.ts";
import { driverSchemas } from "../../config/drivers.ts";
import type { Language } from "../../config/error-texts.ts";
import { ConfigError, exitCodes, printable, shownFile } from "../../errors.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { type DeviceWords, deviceWords } from "./device-words.ts";
import type { StateFilter } from "./device-states.ts";
import { dictionary, languageOf } from "../language.ts";
import { hint, printData, printLines } from "../output.ts";
import { controlSocket, findSite, runningStatus, SilentError } from "../site.ts";
import { shownReason } from "../status.ts";
import { paint, span, table } from "../../text.ts";

export type ListedState = keyof DeviceWords["states"];
type Known = GatewayStatus["devices"][number];

/** One device as `kerb device list` knows it: by the files, and by the running gateway. */
export interface ListedDevice {
  id: string;
  name: string;
  driver: string;
  address: string;
  profile: string | null;
  enabled: boolean;
  state: ListedState;
  lastGoodMs: number | null;
  code: string | null;
  reason: string | null;
  /** null: the files have it no more. */
  file: string | null;
  line: number | null;
}

/** States that somebody has to look after. */
const failing: readonly ListedState[] = ["lost", "wrong-device", "quarantined"];

export interface ListOptions {
  site?: string;
  state?: StateFilter;
  driver?: string;
  json?: boolean;
  lang?: Language;
}

const end = (host: string, port: string | undefined): string =>
  port === undefined ? host : `${host}:${port}`;

/** "192.168.10.40:502 u1", "/dev/ttyS1 9600 u11": where a device is, as far as its settings say. */
export async function addressOf({
  driver,
  settings,
}: Pick<DeviceConfig, "driver" | "settings">): Promise<string> {
  const { wire } = await driverSchemas(driver);
  const way = wire?.(settings as never);
  const said = (key: string): string | undefined => {
    const value = settings[key];
    return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  };
  const host = said("host");
  const place =
    way?.over === "serial"
      ? `${way.path} ${way.baud}`
      : way !== undefined && "host" in way
        ? end(way.host, String(way.port))
        : host === undefined
          ? "-"
          : end(host, said("port"));
  const number = said("unit") ?? (said("station") || undefined);
  const parts = [place, number === undefined ? undefined : `u${number}`, said("siteId")];
  return parts.filter((part) => part !== undefined).join(" ");
}

/** The running gateway; undefined: none answers. */
export async function statusOf(site: string): Promise<GatewayStatus | undefined> {
  return runningStatus(controlSocket(site)).catch((error: unknown) => {
    if (error instanceof SilentError) return undefined;
    throw error;
  });
}

function stateOf(
  device: { enabled: boolean } | undefined,
  known: Known | undefined,
  runs: boolean,
): ListedState {
  if (device === undefined) return "gone";
  if (!device.enabled) return "disabled";
  if (known === undefined) return runs ? "new" : "unknown";
  // Enabled in the file, and the gateway has not read that yet.
  return known.enabled ? known.state : "new";
}

/** One device of the files or of the gateway, or of both. */
export async function listed(
  device: DeviceConfig | undefined,
  known: Known | undefined,
  runs: boolean,
): Promise<ListedDevice> {
  const { id, name, driver, profile, enabled } = (device ?? known)!;
  const isDown = known !== undefined && known.state !== "online" && enabled;
  return {
    id,
    name,
    driver,
    address: device === undefined ? "-" : await addressOf(device),
    profile: profile ?? null,
    enabled,
    state: stateOf(device, known, runs),
    lastGoodMs: known?.lastGoodMs ?? null,
    code: (isDown ? known.code : undefined) ?? null,
    reason: (isDown ? known.reason : undefined) ?? null,
    file: device?.place.file ?? null,
    line: device?.place.line ?? null,
  };
}

async function all(site: Site | undefined, status: GatewayStatus | undefined): Promise<ListedDevice[]> {
  const known = new Map(status?.devices.map((one) => [one.id, one]));
  const runs = status !== undefined;
  const own = site?.devices ?? [];
  // Where the files are wrong, only the gateway knows its devices.
  const gone = (status?.devices ?? []).filter(({ id }) => own.every((device) => device.id !== id));
  const rows = [
    ...own.map((device) => listed(device, known.get(device.id), runs)),
    ...gone.map(async (one) => {
      const row = await listed(undefined, one, runs);
      return site === undefined ? { ...row, state: one.enabled ? one.state : ("disabled" as const) } : row;
    }),
  ];
  return Promise.all(rows);
}

const colours: Partial<Record<ListedState, "green" | "red" | "yellow" | "dim">> = {
  online: "green",
  lost: "red",
  quarantined: "red",
  "wrong-device": "yellow",
  new: "yellow",
  gone: "yellow",
};

function lines(devices: readonly ListedDevice[], language: Language): string[] {
  const words = deviceWords[language];
  const nowMs = Date.now();
  const rows = devices.map((one) => [
    one.id,
    words.states[one.state],
    one.driver,
    printable(one.address),
    one.profile ?? "-",
    one.lastGoodMs === null ? "-" : span(nowMs - one.lastGoodMs),
    printable(one.name === one.id ? "" : one.name),
  ]);
  const [head = "", ...body] = table(
    words.titles.map((title, i) => ({ title, ...(i === 5 ? { side: "right" as const } : {}) })),
    rows,
  );
  return [
    paint("bold", head),
    ...body.flatMap((line, i) => {
      const one = devices[i]!;
      const reason = one.code === null && one.reason === null ? "" : reasonOf(one, language);
      const row = paint(colours[one.state] ?? "dim", line);
      return reason === "" ? [row] : [row, paint("dim", `    ${reason}`)];
    }),
  ];
}

function reasonOf({ code, reason }: ListedDevice, language: Language): string {
  return shownReason(
    { state: "lost", ...(code === null ? {} : { code }), ...(reason === null ? {} : { reason }) },
    dictionary[language],
  );
}

/** `kerb device list`: every device of the files and of the running gateway. Exit code 78: neither can be read. */
export async function deviceList(options: ListOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = deviceWords[language];
  const file = findSite(options.site);
  const status = await statusOf(file);
  let site: Site | undefined;
  try {
    site = await loadSite(file);
  } catch (error) {
    if (!(error instanceof ConfigError) || status === undefined) throw error;
    hint(words.brokenFiles(error.count));
  }
  const { state, driver } = options;
  const every = await all(site, status);
  const shown = every.filter(
    (one) =>
      (driver === undefined || one.driver === driver) &&
      (state === undefined || (state === "failing" ? failing.includes(one.state) : one.state === state)),
  );
  if (options.json === true) {
    printData("device-list", { site: file, running: status !== undefined, devices: shown });
    return exitCodes.ok;
  }
  if (status === undefined) hint(words.onlyFiles);
  if (every.length === 0) printLines([words.noDevices]);
  else if (shown.length === 0) printLines([words.noneSo]);
  else printLines(lines(shown, language));
  if (status !== undefined && every.length > 0) {
    const count = (states: readonly ListedState[]) =>
      every.filter((one) => states.includes(one.state)).length;
    hint(`${words.counts(every.length, count(["online"]), count(failing))}   ${shownFile(file)}`);
  }
  return exitCodes.ok;
}
