import type { AddressFacts } from "../../config/drivers.ts";
import type { Path } from "../../config/path.ts";
import type { Point } from "../profiles.ts";
import type { Lint, Sentence } from "./findings.ts";

/** What one value says of its numbers: limits, typical values, sentinels, decimals, names, labels. */

/** A point, or a field of a record. */
export type Shown = Pick<Point, "kind" | "scale" | "offset" | "sentinels" | "fixed" | "address"> &
  Partial<
    Pick<Point, "label" | "scaleFactor" | "decimals" | "limits" | "typical" | "values" | "publish" | "source">
  >;

type Span = readonly [low: number, high: number];

/** Sums of fractions: 0.1 + 0.2 lies inside [0, 0.3]. */
const isBelow = (a: number, b: number): boolean => a < b - 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
const isInside = (value: number, [low, high]: Span): boolean => !isBelow(value, low) && !isBelow(high, value);
const shown = ([low, high]: Span): string => `${low} … ${high}`;

/** What the raw numbers of a type come to with the value's scale; undefined where another point scales it too. */
function reachOf({ scale, offset, scaleFactor }: Shown, raw: Span | undefined): Span | undefined {
  if (raw === undefined || scaleFactor !== undefined) return undefined;
  const ends = raw.map((one) => one * scale + offset).toSorted((a, b) => a - b);
  return [ends[0] ?? 0, ends[1] ?? 0];
}

function checkLimits(lint: Lint, path: Path, value: Shown, facts: AddressFacts): void {
  const { limits, typical, kind } = value;
  const reach = reachOf(value, facts.raw);
  if (limits !== undefined) {
    const at = [...path, "limits"];
    const [low, high] = limits;
    if (low >= high)
      lint.say(
        "limits",
        at,
        `the limits ${shown(limits)} begin where they end or later: write the lower one first`,
        `giới hạn ${shown(limits)} bị ngược: hãy viết giới hạn dưới trước`,
      );
    else if (kind === "number" && reach !== undefined && !(isInside(low, reach) && isInside(high, reach)))
      lint.say(
        "limits",
        at,
        `the limits ${shown(limits)} go beyond ${shown(reach)}, all that the raw type and the scale can give`,
        `giới hạn ${shown(limits)} vượt quá ${shown(reach)}, là tất cả những gì kiểu dữ liệu thô và hệ số có thể cho`,
      );
  }
  if (typical === undefined) return;
  const at = [...path, "typical"];
  if (typical[0] > typical[1])
    lint.say(
      "typical",
      at,
      `the typical values ${shown(typical)} end before they begin: write the lower one first`,
      `giá trị thường gặp ${shown(typical)} bị ngược: hãy viết giá trị nhỏ trước`,
    );
  for (const [within, en, vi] of [
    [limits, "the limits", "giới hạn"],
    [kind === "number" ? reach : undefined, "what the raw type can give", "phạm vi của kiểu dữ liệu thô"],
  ] as const)
    if (within !== undefined && !typical.every((one) => isInside(one, within)))
      lint.say(
        "typical",
        at,
        `the typical values ${shown(typical)} lie outside ${en} ${shown(within)}`,
        `giá trị thường gặp ${shown(typical)} nằm ngoài ${vi} ${shown(within)}`,
      );
}

function checkSentinels(lint: Lint, path: Path, value: Shown, { raw }: AddressFacts): void {
  const { sentinels, limits, scale, offset, scaleFactor, values } = value;
  const seen = new Set<number>();
  for (const [index, sentinel] of sentinels.entries()) {
    const at = [...path, "sentinels", index, "raw"];
    const say = (en: string, vi: string) =>
      lint.say("sentinel", at, `the raw value ${sentinel.raw} ${en}`, `giá trị thô ${sentinel.raw} ${vi}`);
    if (seen.has(sentinel.raw)) say("is a sentinel already", "đã là giá trị đặc biệt rồi");
    seen.add(sentinel.raw);
    if (raw !== undefined && !isInside(sentinel.raw, raw))
      say(`never comes: the type holds ${shown(raw)}`, `không bao giờ đến: kiểu dữ liệu chứa ${shown(raw)}`);
    const shownAs = sentinel.raw * scale + offset;
    if (scaleFactor === undefined && limits !== undefined && isInside(shownAs, limits))
      say(
        `means no value, and is ${shownAs} inside the limits ${shown(limits)}`,
        `nghĩa là không có giá trị, nhưng ${shownAs} lại nằm trong giới hạn ${shown(limits)}`,
      );
    if (values !== undefined && Object.keys(values).some((key) => Number(key) === sentinel.raw))
      say("has a name under values as well", "cũng có tên trong values");
  }
}

/** Digits after the point that a number is written with; undefined for those that have no end, such as 1/3. */
function digitsOf(number: number): number | undefined {
  for (let digits = 0; digits <= 8; digits++)
    if (Math.abs(Number(number.toFixed(digits)) - number) < 1e-12) return digits;
  return undefined;
}

function checkDecimals(lint: Lint, path: Path, value: Shown, { isWhole }: AddressFacts): void {
  const { decimals, scale, offset, scaleFactor } = value;
  if (decimals === undefined) return;
  const at = [...path, "decimals"];
  if (scaleFactor !== undefined)
    lint.say(
      "decimals",
      at,
      `the scale factor "${scaleFactor}" decides how many decimals there are: leave them out`,
      `hệ số "${scaleFactor}" quyết định số chữ số thập phân: hãy bỏ dòng này`,
    );
  else if (isWhole === true) {
    const [byScale, byOffset] = [digitsOf(scale), digitsOf(offset)];
    if (byScale === undefined || byOffset === undefined) return;
    const digits = Math.max(byScale, byOffset);
    if (decimals !== digits)
      lint.say(
        "decimals",
        at,
        `whole raw numbers with the scale ${scale} have ${digits} decimals, not ${decimals}`,
        `số thô nguyên với hệ số ${scale} có ${digits} chữ số thập phân, không phải ${decimals}`,
      );
  }
}

/** Two raw values of one name: right where the model of the class has fewer states than the device, else a slip. */
function checkMeanings(lint: Lint, path: Path, values: Readonly<Record<string, string>>): void {
  const byWord = new Map<string, string>();
  for (const [key, word] of Object.entries(values)) {
    const first = byWord.get(word);
    if (first !== undefined)
      lint.say(
        "values",
        [...path, "values", key],
        `the raw values ${first} and ${key} both mean "${word}"`,
        `giá trị thô ${first} và ${key} cùng nghĩa "${word}"`,
        { at: "key", severity: "warning" },
      );
    byWord.set(word, key);
  }
}

/** Why a raw value that has a name is never looked up by it; undefined where it may come. */
function unlooked(key: string, { gives, words }: AddressFacts): Sentence | undefined {
  if (gives === "boolean" && key !== "true" && key !== "false")
    return {
      en: "never comes: the address gives true and false",
      vi: "không bao giờ đến: địa chỉ cho true và false",
    };
  if (gives === "number" && String(Number(key)) !== key)
    return {
      en: "never comes: the address gives numbers, and they are written so",
      vi: "không bao giờ đến: địa chỉ cho số, và số không viết như vậy",
    };
  if (words === undefined || words.includes(key)) return undefined;
  return {
    en: `never comes: the address gives ${words.join(", ")}`,
    vi: `không bao giờ đến: địa chỉ cho ${words.join(", ")}`,
  };
}

/** What an address gives is told as it is: of another kind than the point says, or never compared with a number. */
function checkKind(lint: Lint, path: Path, value: Shown, { gives }: AddressFacts): void {
  const { kind, sentinels, fixed, values } = value;
  if (gives === undefined) return;
  const isOther = kind === "boolean" ? gives === "text" : kind !== gives;
  if (isOther && values === undefined)
    lint.say(
      "kind",
      [...path, "address"],
      `the address gives a ${gives}, and this is a ${kind}`,
      `địa chỉ cho ${gives}, còn đây là ${kind}`,
      { at: "key" },
    );
  if (gives !== "number" && sentinels.length > 0)
    lint.say(
      "sentinel",
      [...path, "sentinels"],
      `sentinels are numbers, and the address gives a ${gives}`,
      `giá trị đặc biệt là số, còn địa chỉ cho ${gives}`,
      { at: "key" },
    );
  if (gives === "number" && typeof fixed === "string")
    lint.say(
      "pretend",
      [...path, "fixed"],
      `"${fixed}" cannot be shown: the address gives a number`,
      `không thể hiện được "${fixed}": địa chỉ cho số`,
    );
}

function checkNames(lint: Lint, path: Path, { values = {}, fixed }: Shown, facts: AddressFacts): void {
  const { raw } = facts;
  const byNumber = new Map<number, string>();
  for (const [key, word] of Object.entries(values)) {
    const at = [...path, "values", key];
    const number = key.trim() === "" ? Number.NaN : Number(key);
    if (word.trim() === "")
      lint.say("values", at, `the raw value ${key} has no name`, `giá trị thô ${key} không có tên`, {
        at: "key",
      });
    const say = (en: string, vi: string) =>
      lint.say("values", at, `the raw value ${key} ${en}`, `giá trị thô ${key} ${vi}`, { at: "key" });
    const unknown = unlooked(key, facts);
    const first = byNumber.get(number);
    if (!Number.isNaN(number)) byNumber.set(number, key);
    if (first !== undefined)
      say(`is the same number as ${first}, which has a name already`, `trùng với ${first}, vốn đã có tên`);
    else if (unknown !== undefined) say(unknown.en, unknown.vi);
    else if (raw !== undefined && !Number.isNaN(number) && !isInside(number, raw))
      say(`never comes: the type holds ${shown(raw)}`, `không bao giờ đến: kiểu dữ liệu chứa ${shown(raw)}`);
  }
  if (typeof fixed === "number" && raw !== undefined && !isInside(fixed, raw))
    lint.say(
      "pretend",
      [...path, "fixed"],
      `the raw value ${fixed} cannot be shown: the type holds ${shown(raw)}`,
      `không thể hiện được giá trị thô ${fixed}: kiểu dữ liệu chứa ${shown(raw)}`,
    );
}

/** Both languages, the Vietnamese one with its marks and in one spelling (NFC). */
export function checkLabel(lint: Lint, path: Path, label: Shown["label"]): void {
  const at = [...path, "label"];
  if (label === undefined || label.en.trim() === "")
    return lint.say("label", at, "there is no English label", "không có nhãn tiếng Anh", { at: "key" });
  if (label.vi.trim() === "")
    return lint.say("label", [...at, "vi"], "there is no Vietnamese label", "không có nhãn tiếng Việt");
  if (!/[^ -~]/.test(label.vi))
    lint.say(
      "label",
      [...at, "vi"],
      "the Vietnamese label has none of the marks of Vietnamese",
      "nhãn tiếng Việt không có dấu",
      { severity: "warning" },
    );
  else if (label.vi !== label.vi.normalize("NFC"))
    lint.say(
      "label",
      [...at, "vi"],
      "the Vietnamese label is written with combining marks: save it composed (NFC)",
      "nhãn tiếng Việt dùng dấu tổ hợp: hãy lưu ở dạng dựng sẵn (NFC)",
    );
}

/**
 * Everything that a value says of its numbers, held against what its address can give. `states`: those that the model
 * of the class has for it.
 */
export function checkValue(
  lint: Lint,
  path: Path,
  value: Shown,
  facts: AddressFacts,
  states: readonly string[] | undefined,
): void {
  if (states === undefined) checkMeanings(lint, path, value.values ?? {});
  if (value.scale === 0)
    lint.say(
      "limits",
      [...path, "scale"],
      "with the scale 0 every value is the same",
      "với hệ số 0 thì mọi giá trị đều như nhau",
    );
  checkKind(lint, path, value, facts);
  checkLimits(lint, path, value, facts);
  checkSentinels(lint, path, value, facts);
  checkDecimals(lint, path, value, facts);
  checkNames(lint, path, value, facts);
}
