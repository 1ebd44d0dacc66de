import type { DeviceConfig } from "../../config/config.ts";
import { indexOfDevice, placeOfDevice } from "../../config/device-edits.ts";
import type { Language } from "../../config/error-texts.ts";
import { DevicesFiles } from "../../config/devices-file.ts";
import { ofRank, profilesOf } from "../../discovery/candidates.ts";
import type { Identity } from "../../driver.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import type { Marks, Pin } from "../../host/pin.ts";
import { matchProfile } from "../../profiles/profile-match.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { pinOf, type Replacement, replacementsOf } from "./device-history.ts";
import { listed, type ListedDevice, statusOf } from "./device-list.ts";
import type { TwinChange } from "../../twin/changes.ts";
import { scheduleRows, schedulesOf, type ShownSchedule } from "./device-schedules.ts";
import { deviceWords } from "./device-words.ts";
import { matchText } from "../discover/discover-table.ts";
import { dictionary, languageOf } from "../language.ts";
import { namedIdentity, serialWords } from "../../discovery/named-identity.ts";
import { printData, printLines } from "../output.ts";
import { deviceNamed } from "../read/read-source.ts";
import { findSite } from "../site.ts";
import { shownReason } from "../status.ts";
import { changeLines } from "../ioc/twin-words.ts";
import { displayWidth, pad, paint, span } from "../../text.ts";

export interface ShowOptions {
  site?: string;
  json?: boolean;
  lang?: Language;
}

/** All that is known of one device without asking it. */
export interface ShownDevice extends ListedDevice {
  lastLine: number;
  /** `kerb device` may change its lines. */
  editable: boolean;
  class: string | null;
  firmwareRange: string;
  /** As it last told the running gateway; as it was last seen where none runs. */
  identity: Identity | null;
  /** The unit that may be written to; null: nobody was seen yet. */
  unit: Marks | null;
  match: { rank: string; reasons: Record<Language, string>[] } | null;
  points: number;
  records: number;
  write: { allow: readonly string[]; offered: string[] };
  schedules: ShownSchedule[];
  polls: { polls: number; failed: number; missed: number } | null;
  /** Units that a person has put in the place of others, the newest last. */
  replacements: Replacement[];
  /** What the IOC has laid over the files from afar. */
  twin?: TwinChange[];
}

function unitOf(pin: Pin): Marks | undefined {
  try {
    return pin.read();
  } catch {
    return undefined;
  }
}

function replacedLine({ timeMs, by, before, now }: Replacement, language: Language): string {
  const { nobody } = deviceWords[language];
  const [from, to] = [before ?? {}, now].map((unit) => namedIdentity(unit, language) || nobody);
  return `${new Date(timeMs).toISOString().slice(0, 16).replace("T", " ")}Z ${by}: ${from} → ${to}`;
}

async function shown(
  files: DevicesFiles,
  device: DeviceConfig,
  status: GatewayStatus | undefined,
): Promise<ShownDevice> {
  const known = status?.devices.find(({ id }) => id === device.id);
  const { file } = device.place;
  const text = files.textOf(file) ?? "";
  const place = placeOfDevice(text, indexOfDevice(text, device.id));
  const unit = unitOf(pinOf(files.site.gateway.stateFolder, device));
  const identity = known?.identity ?? unit;
  const own = profilesOf(device.driver).find(({ id }) => id === device.profile);
  const match = identity === undefined || own === undefined ? undefined : matchProfile(identity, own);
  const offered = device.points.filter(({ write }) => write !== undefined).map(({ name }) => name);
  const laid = status?.configuration?.twin?.runs?.changes.filter((one) => one.device === device.id) ?? [];
  return {
    ...(await listed(device, known, status !== undefined)),
    line: place.first,
    lastLine: place.last,
    editable: file !== files.siteFile,
    class: device.class ?? null,
    firmwareRange: device.firmwareRange,
    identity: identity ?? null,
    unit: unit ?? null,
    match: match === undefined ? null : { rank: match.rank, reasons: match.reasons },
    points: device.points.filter(({ publish }) => publish).length,
    records: device.records.length,
    write: { allow: device.write?.allow ?? [], offered },
    schedules: schedulesOf(device, files.site, known, Date.now()),
    replacements: replacementsOf(files.site.gateway.stateFolder, device),
    polls: known === undefined ? null : { polls: known.polls, failed: known.failed, missed: known.missed },
    ...(laid.length === 0 ? {} : { twin: laid }),
  };
}

function shownLines(one: ShownDevice, device: DeviceConfig, timeZone: string, language: Language): string[] {
  const words = deviceWords[language];
  const { labels } = words;
  const nowMs = Date.now();
  const reason = shownReason(
    {
      state: "lost",
      ...(one.code === null ? {} : { code: one.code }),
      ...(one.reason === null ? {} : { reason: one.reason }),
    },
    dictionary[language],
  );
  const profile =
    one.profile === null
      ? words.ownPoints
      : [one.profile, one.firmwareRange === "*" ? "" : `firmware ${one.firmwareRange}`, one.class ?? ""]
          .filter((part) => part !== "")
          .join(", ");
  const { match } = one;
  const fits =
    match === null
      ? []
      : [
          `${matchText({ match: ofRank[match.rank as "exact"] }, language)}: ${match.reasons.map((text) => text[language]).join("; ")}`,
        ];
  const pinned =
    device.serial === undefined
      ? ""
      : `${serialWords[language].serial} ${device.serial}, ${shownFile(one.file ?? "")}`;
  const rows: [string, string][] = [
    [labels.state, [words.states[one.state], reason].filter((part) => part !== "").join("   ")],
    [labels.address, `${one.address}   ${one.driver}`],
    [labels.profile, profile],
    ...fits.map((text): [string, string] => [labels.fits, text]),
    ...(one.identity === null
      ? []
      : [[labels.identity, namedIdentity(one.identity, language)] as [string, string]]),
    [labels.unit, pinned || (one.unit === null ? "" : namedIdentity(one.unit, language)) || words.noUnit],
    ...one.replacements.map((each): [string, string] => [labels.replaced, replacedLine(each, language)]),
    [labels.points, words.pointCounts(one.points, one.records)],
    [labels.writable, one.write.allow.join(", ") || words.noneWritable(one.write.offered.length)],
    ...scheduleRows(one.schedules, timeZone, nowMs, language),
    ...(one.lastGoodMs === null ? [] : [[labels.lastGood, span(nowMs - one.lastGoodMs)] as [string, string]]),
    ...(one.polls === null
      ? []
      : [
          [labels.polls, words.pollCounts(one.polls.polls, one.polls.failed, one.polls.missed)] as [
            string,
            string,
          ],
        ]),
    ...(one.twin === undefined ? [] : changeLines(one.twin, language)).map((text): [string, string] => [
      labels.twin,
      text.trim(),
    ]),
    [
      labels.file,
      `${shownFile(one.file ?? "")}, ${words.lines(one.line ?? 0, one.lastLine)}   ${one.editable ? words.editable : words.notEditable}`,
    ],
  ];
  const width = Math.max(...rows.map(([name]) => displayWidth(name)));
  const head = one.name === one.id ? one.id : `${one.id}   ${one.name}`;
  return [
    paint("bold", printable(head)),
    ...rows
      .filter(([, text]) => text !== "")
      .map(([name, text]) => `  ${pad(name, width)}  ${printable(text)}`),
  ];
}

/** `kerb device show`: all that is known of one device. Exit code 3: there is none of that id. */
export async function deviceShow(id: string, options: ShowOptions): Promise<number> {
  const language = languageOf(options.lang);
  const file = findSite(options.site);
  const files = await DevicesFiles.open(file);
  const device = deviceNamed(files.site.devices, id, file);
  const one = await shown(files, device, await statusOf(file));
  if (options.json === true) printData("device", one);
  else printLines(shownLines(one, device, files.site.gateway.timeZone, language));
  return exitCodes.ok;
}
