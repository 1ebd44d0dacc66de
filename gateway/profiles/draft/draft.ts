import type { Browsed, Identity } from "../../driver.ts";
import { mergeSettings } from "../profiles.ts";
import { pointOf, recordOf, settingsNeeded, type Part, type Rules } from "./points.ts";
import { veiled } from "./private.ts";
import { comment, flowText, remark, slug } from "./text.ts";

/** A profile drafted from what a device that nobody knows says of itself: text with each guess marked as one. */

/** What is known of the device, and of the draft. */
export interface Draft {
  driver: string;
  className: string | undefined;
  /** `vendor/model` that a person gave, for what the device does not say. */
  given?: string | undefined;
  identity: Identity;
  entries: readonly Browsed[];
  /** It does not answer when it is asked who it is. */
  isMute: boolean;
  /** Settings of the device that its model needs as well. */
  settings: Record<string, unknown>;
  /** What was left out, as English sentences. */
  left: readonly string[];
  /** Why the listing ended early; undefined: it did not. */
  ended: string | undefined;
  /** "2026-11-22". */
  date: string;
  kerb: string;
  rules: Omit<Rules, "serial">;
}

/** The text of a drafted profile, and how many of what is in it. */
export interface Drafted {
  text: string;
  points: number;
  records: number;
  guesses: number;
  commands: number;
}

const unknownVendor = "Unknown";
/** The id in the site file may tell the place. */
const unknownModel = "Unknown";
const nameMax = 100;

/** What a text says of the unit that was read is no word for its model. */
function withoutUnit(text: string | undefined, { serial = "" }: Identity): string | undefined {
  if (text === undefined || text.trim() === "") return undefined;
  return serial.length > 2 && text.includes(serial) ? undefined : text.trim().slice(0, nameMax);
}

/** Maker and model as a profile names them; undefined where the device does not say. */
function namesOf(identity: Identity): { vendor: string | undefined; model: string | undefined } {
  return { vendor: withoutUnit(identity.vendor, identity), model: withoutUnit(identity.model, identity) };
}

/** `vendor/model` for a device: in its own words, else by its id in the site file. */
export function draftId(identity: Identity, device: string): string {
  const { vendor = unknownVendor, model = device } = namesOf(identity);
  return `${slug(vendor) || slug(unknownVendor)}/${slug(model) || slug(device) || "device"}`;
}

/** No protocol says what a device is for. */
const unknownClass = "other";

function head({ driver, date, kerb, ended, identity }: Draft): string[] {
  return [
    ...comment(
      `DRAFT by kerb profile new (kerb ${kerb}): read from a device on ${date} (driver ${driver}).`,
      "",
    ),
    ...comment(
      `What stands behind "guess" the device has not told. For each point: find it in the maker's document, name it ` +
        `as MODELS.md has it for the class, give it unit, scale and limits, write the document and the page as its ` +
        `source, and only then take "certainty: to-verify" away. Delete what nobody needs.`,
      "",
    ),
    ...comment(
      `Look through it before you give it away: names and descriptions are the device's. The texts that its values ` +
        `held are not in here, nor the serial number that it told by its protocol (x stands for it, in addresses ` +
        `too), but a register may hold a number that is one.`,
      "",
    ),
    ...(ended === undefined ? [] : comment(`NOT COMPLETE: ${ended}`, "")),
    ...(identity.firmware === undefined ? [] : comment(`It reported the firmware ${identity.firmware}.`, "")),
  ];
}

/** Why a pattern cannot be these very words; undefined: it can. */
function unnameable(texts: readonly (string | undefined)[]): string | undefined {
  const all = texts.map((text = "") => text.trim());
  if (all.some((text) => text.includes("*")))
    return "a * in what the device says of itself would stand for anything";
  return all.some((text) => text.length > nameMax)
    ? `what the device says of itself is longer than ${nameMax} characters`
    : undefined;
}

function identifyLines({ identity, isMute }: Draft): string[] {
  if (isMute) return ["identify:", `  standard: false${remark("it was silent when it was asked who it is")}`];
  const { vendor, model } = namesOf(identity);
  if (model === undefined)
    return comment("identify.is: the device does not say its model, so it cannot be recognised by that", "");
  const why = unnameable([identity.vendor, identity.model]);
  if (why !== undefined) return comment(`identify.is: not written, because ${why}`, "");
  const is = {
    ...(vendor === undefined ? {} : { vendor: [vendor] }),
    model: [model],
    source: "device: what it says of itself",
  };
  return ["identify:", `  is: ${flowText(is)}`];
}

function topLines(draft: Draft): string[] {
  const { identity, driver, date, kerb, className, given } = draft;
  const { vendor, model } = namesOf(identity);
  const [givenVendor, givenModel] = given?.split("/") ?? [];
  const unsaid = remark(
    given === undefined
      ? "guess: the device does not say; look at its name plate"
      : "as you named it: the device does not say; compare its name plate",
  );
  const seen = identity.firmware === undefined ? "" : `; firmware ${identity.firmware}`;
  return [
    "version: 1",
    `vendor: ${flowText(vendor ?? givenVendor ?? unknownVendor)}${vendor === undefined ? unsaid : ""}`,
    `model: ${flowText(model ?? givenModel ?? unknownModel)}${model === undefined ? unsaid : ""}`,
    `class: ${className ?? unknownClass}${className === undefined ? remark("guess: see MODELS.md for the classes and what their points are called") : ""}`,
    `driver: ${driver}`,
    "status: community",
    `firmware: "*"${remark("guess: only one unit was read; end the range where you have seen that the map changes")}`,
    "sources:",
    `  device: ${flowText({ title: `read from a device on ${date}`, revision: `kerb ${kerb}${seen}` })}`,
  ];
}

function settingLines(own: Record<string, unknown>, needed: Record<string, unknown>): string[] {
  const all = Object.entries(mergeSettings(own, needed));
  const lines = all.map(([key, value]) => {
    const why = key in needed ? "as the device answered" : "as it was read";
    return `  ${key}: ${flowText(value)}${remark(why)}`;
  });
  return lines.length === 0 ? [] : ["settings:", ...lines];
}

/** What the addresses that are offered beside the points' own cannot be used without. */
function alsoLines(entries: readonly Browsed[]): string[] {
  const needed = settingsNeeded(entries.flatMap(({ also = [] }) => also.slice(0, 1)));
  return Object.keys(needed).length === 0
    ? []
    : comment(`The addresses behind "also" need in the settings: ${flowText(needed)}`, "");
}

function together(parts: readonly Part[]): string[] {
  return parts.flatMap(({ lines }) => lines);
}

const sum = (parts: readonly Part[], key: "points" | "guesses"): number =>
  parts.reduce((total, part) => total + part[key], 0);

/** Each value once: a device may show one at several places of its tree. */
function distinct(entries: readonly Browsed[]): Browsed[] {
  const seen = new Set<string>();
  return entries.filter(({ what, address }) => {
    const key = `${what} ${JSON.stringify(address ?? null)}`;
    const isNew = address === undefined || !seen.has(key);
    seen.add(key);
    return isNew;
  });
}

/** The draft as a file of kerb's own format. Pure: the same device gives the same text. */
export function draftProfile(draft: Draft): Drafted {
  const { identity } = draft;
  const entries = distinct(draft.entries);
  const rules: Rules = { ...draft.rules, serial: identity.serial };
  const taken = new Set<string>();
  const points = entries.filter(({ what }) => what === "value").map((one) => pointOf(one, taken, rules));
  const records = entries.filter(({ what }) => what === "record").map((one) => recordOf(one, taken, rules));
  const commands = entries.filter(({ what }) => what === "command");
  const needed = settingsNeeded(entries.filter(({ what }) => what !== "command"));
  const recordLines = records.length === 0 ? [] : ["records:", ...together(records)];
  const commandLines = commands.flatMap(({ path, address }) =>
    comment(`- ${path.join(" / ")}: ${address === undefined ? "no address" : flowText(address)}`, "", "  "),
  );
  const lines = [
    ...head(draft),
    ...topLines(draft),
    ...settingLines(draft.settings, needed),
    ...identifyLines(draft),
    ...alsoLines(entries.filter(({ address }) => draft.rules.isAddress(address))),
    ...(sum(points, "points") === 0 ? ["points: {}", ...together(points)] : ["points:", ...together(points)]),
    ...(sum(records, "points") === 0 ? together(records) : recordLines),
    ...(commands.length === 0
      ? []
      : [
          ...comment("Commands that it has; which of them kerb may give is a decision:", ""),
          ...commandLines,
        ]),
    ...draft.left.flatMap((line) => comment(line, "")),
  ];
  return {
    text: veiled(`${lines.join("\n")}\n`, identity.serial),
    points: sum(points, "points"),
    records: sum(records, "points"),
    guesses: sum(points, "guesses") + sum(records, "guesses"),
    commands: commands.length,
  };
}
