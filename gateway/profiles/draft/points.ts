import type { Answer, Browsed, Value } from "../../driver.ts";
import { mergeSettings } from "../profiles.ts";
import { unitProblem, ucumOf } from "../units.ts";
import { isPrivateName } from "./private.ts";
import { comment, flowText, nativeName, remark, slug } from "./text.ts";

/** Points and records of a drafted profile, with what of them is a guess. */

/** What a draft is made with: the driver's word on addresses, and what must not be in it. */
export interface Rules {
  /** Is it an address that a profile may have? */
  isAddress(address: unknown): boolean;
  isPersonal(address: unknown, record?: unknown): boolean;
  /** The serial number of the unit that was read. */
  serial: string | undefined;
}

/** Lines of the file, and how many of what they hold. */
export interface Part {
  lines: string[];
  points: number;
  guesses: number;
}

const textShownMax = 32;
const guessesMax = 24;

/** The settings that these entries need, together. */
export function settingsNeeded(entries: readonly Pick<Browsed, "settings">[]): Record<string, unknown> {
  return entries.reduce<Record<string, unknown>>(
    (needed, { settings = {} }) => mergeSettings(needed, settings),
    {},
  );
}

function valueOf(answer: Answer | undefined): Value | null {
  if (answer === undefined) return null;
  return typeof answer === "object" ? answer.value : answer;
}

/** A number as short as it can be written without being another one: 229.6 for the float of 32 bits beside it. */
function short(value: number | bigint): number | bigint {
  if (typeof value === "bigint" || Number.isInteger(value)) return value;
  const shorter = [7, 8, 9].map((digits) => Number(value.toPrecision(digits)));
  return shorter.find((one) => one === value || Math.fround(one) === value) ?? value;
}

/** What was on the wire: a text stays one though it be all digits, for it may be a telephone number or a PIN. */
function wired({ answer, guesses = [] }: Browsed): Value | null {
  const value = valueOf(answer);
  if (typeof value === "boolean") return value;
  return guesses.map((guess) => valueOf(guess.answer)).find((one) => typeof one === "string") ?? value;
}

/** Does a value give away which unit it came from? */
function tellsUnit(value: Value | null, { path, label = "" }: Browsed, { serial = "" }: Rules): boolean {
  if (value === null || typeof value === "boolean") return false;
  if (isPrivateName([...path, label].join(" "))) return true;
  if (serial.length < 3) return false;
  const digits = serial.replaceAll(/\D/g, "");
  return typeof value === "string"
    ? value.includes(serial)
    : String(value) === serial || (digits.length > 3 && String(value) === String(Number(digits)));
}

function shown(value: Value | null): string {
  if (value === null) return "no value";
  if (typeof value === "string") return `a text of ${value.length} characters`;
  if (typeof value === "boolean" || typeof value === "bigint" || Number.isInteger(value))
    return String(value);
  return String(Number(value.toPrecision(7)));
}

/** "uint32 ABCD 1130731, CDAB 2576958310": each type once, with its orders. */
function guessLines(entry: Browsed, rules: Rules): string[] {
  const { guesses = [] } = entry;
  const byType = Map.groupBy(guesses.slice(0, guessesMax), ({ type }) => type.split(" ")[0] ?? type);
  const texts = [...byType].map(([type, list]) => {
    const values = list.map(({ type: whole, answer }) => {
      const order = whole.slice(type.length).trim();
      const value = valueOf(answer);
      return `${order === "" ? "" : `${order} `}${tellsUnit(value, entry, rules) ? "…" : shown(value)}`;
    });
    return `${type} ${values.join(", ")}`;
  });
  return texts.length < 2 ? [] : comment(`all ways: ${texts.join("; ")}`, "  ", "  ");
}

/** What a person reads, from what the device calls it. */
function labelOf({ label, path }: Browsed): string {
  const text = (label ?? path.join(" ")).replaceAll(/\s+/g, " ").trim().slice(0, 80);
  const what = text === "" ? "value" : text;
  return flowText({ en: `Value of ${what}`, vi: `Giá trị ${what}`.normalize("NFC") });
}

/** The UCUM code of its unit, where kerb has one. */
function unitOf({ unit }: Browsed): string | undefined {
  const ucum = unit === undefined ? undefined : (unit.ucum ?? ucumOf(unit.text.trim()));
  return ucum === undefined || unitProblem(ucum) !== undefined ? undefined : ucum;
}

/** Kind, unit, names, and what a simulator shows. */
function meaningOf(entry: Browsed, rules: Rules): string[] {
  const value = valueOf(entry.answer);
  const lines: string[] = [];
  if (typeof value === "boolean") return ["kind: boolean", `fixed: ${value}`];
  if (typeof value === "string")
    return [
      "kind: text",
      `fixed: ${flowText("x".repeat(Math.min(value.length, textShownMax)))}${remark("its text is not kept here")}`,
    ];
  const { unit, values } = entry;
  const ucum = unitOf(entry);
  if (ucum !== undefined) lines.push(`unit: ${flowText(ucum)}`);
  else if (unit !== undefined) lines.push(`unit: "1"${remark(`guess: the device says "${unit.text}"`)}`);
  const names = Object.entries(values ?? {}).filter(([key]) => /^-?\d+$/.test(key));
  if (names.length > 0) {
    const told = names.map(([key, text]) => [
      key,
      { is: slug(text) || `value-${key}`, en: text || key, vi: text || key },
    ]);
    lines.push(`values: ${flowText(Object.fromEntries(told))}`);
  }
  if (value === null) return lines;
  const isHidden = typeof wired(entry) === "string" || tellsUnit(value, entry, rules);
  const number = isHidden ? 0 : Number(short(value));
  const held = isHidden
    ? "what it held is not kept here"
    : entry.changes === false
      ? "the same when it was read twice"
      : "what it held";
  lines.push(`typical: [${number}, ${number}]${remark(held)}`);
  return lines;
}

/** A number without a unit: that it is a mere number is a guess as well. */
function isBare({ unit, values, answer }: Browsed): boolean {
  return ["number", "bigint"].includes(typeof valueOf(answer)) && unit === undefined && values === undefined;
}

function aboutPoint(entry: Browsed, rules: Rules): string[] {
  const { guesses = [], type = "", access, range, description, also = [], changes } = entry;
  const value = wired(entry);
  const isHidden = tellsUnit(value, entry, rules);
  const [best] = guesses;
  const moved = changes === true ? " and changed while it was watched" : "";
  const held = `held ${isHidden ? "what tells this unit from others" : shown(value)}${moved}`;
  const facts = [
    best === undefined ? `${type} ${held}`.trim() : `guess: ${type}, ${best.why ?? "possible"}; it ${held}`,
    best === undefined && isBare(entry) ? "guess: no unit, because none is told" : undefined,
    description,
    range === undefined ? undefined : `its range is told as ${range[0]} … ${range[1]}`,
    access?.includes("write") === true ? "it may be written: `write` is for you to decide" : undefined,
    also[0]?.address === undefined ? undefined : `also ${flowText(also[0].address)}`,
  ].filter((fact) => fact !== undefined && fact !== "");
  const ways = isHidden || typeof value === "string" ? [] : guessLines(entry, rules);
  return [...comment(facts.join("; "), "  "), ...ways];
}

/** One point, or why it is none. */
export function pointOf(entry: Browsed, taken: Set<string>, rules: Rules): Part {
  const { address, path, guesses, answer } = entry;
  const none = (why: string): Part => ({
    lines: comment(`left out: ${path.join(" / ")}: ${why}`, "  "),
    points: 0,
    guesses: 0,
  });
  if (address === undefined) return none(entry.more?.["why"] ?? "an address cannot name it");
  if (!rules.isAddress(address)) return none("an address of this driver cannot name it");
  if (rules.isPersonal(address))
    return none("it tells of a person or a vehicle: that is for the field of a record");
  if (answer !== undefined && valueOf(answer) === null) {
    const { code = "bad" } = answer as { code?: string };
    return none(code);
  }
  const isStrange = entry.unit !== undefined && unitOf(entry) === undefined;
  const isGuess = guesses !== undefined || isBare(entry) || isStrange;
  const lines = [
    `address: ${flowText(address)}`,
    `label: ${labelOf(entry)}`,
    ...meaningOf(entry, rules),
    `source: ${flowText(`device: ${path.join(" / ").slice(0, 120)}`)}`,
    ...(isGuess ? ["certainty: to-verify"] : []),
  ];
  return {
    lines: [
      ...aboutPoint(entry, rules),
      `  ${nativeName(path, taken)}:`,
      ...lines.map((line) => `    ${line}`),
    ],
    points: 1,
    guesses: isGuess ? 1 : 0,
  };
}

function fieldText(field: Browsed, taken: Set<string>, record: unknown, rules: Rules): string | undefined {
  const { address, type = "text", more = {} } = field;
  if (address === undefined || !rules.isAddress(address)) return undefined;
  const kind = type === "boolean" || type === "number" ? type : "text";
  const value = kind === "boolean" ? true : kind === "number" ? 0 : "x";
  const text = flowText({
    address,
    ...(kind === "number" ? {} : { kind }),
    ...(more["instance"] === undefined ? {} : { instance: true }),
    ...(rules.isPersonal(address, record) ? { privacy: "token" } : {}),
    fixed: value,
  });
  return `      ${nativeName([field.path.at(-1) ?? ""], taken)}: ${text}`;
}

/** One record that the device says it tells. */
export function recordOf(entry: Browsed, taken: Set<string>, rules: Rules): Part {
  const { address, path, fields = [], more = {} } = entry;
  if (address === undefined || !rules.isAddress(address)) {
    const lines = comment(`left out: ${path.join(" / ")}: an address of this driver cannot name it`, "  ");
    return { lines, points: 0, guesses: 0 };
  }
  const names = new Set<string>();
  const told = fields.flatMap((field) => fieldText(field, names, address, rules) ?? []);
  const lasts = more["lasts"] !== undefined;
  return {
    lines: [
      ...comment(
        `guess: ${lasts ? "a state, because it is told as a property" : "something that happens once"}`,
        "  ",
      ),
      `  ${nativeName(path, taken)}:`,
      `    address: ${flowText(address)}`,
      `    kind: ${lasts ? "state" : "transaction"}`,
      `    label: ${labelOf(entry)}`,
      ...(told.length === 0 ? ["    fields: {}"] : ["    fields:", ...told]),
      `    source: ${flowText(`device: ${path.join(" / ").slice(0, 120)}`)}`,
      "    certainty: to-verify",
    ],
    points: 1,
    guesses: 1,
  };
}
