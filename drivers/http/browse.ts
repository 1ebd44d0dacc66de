import {
  DeviceError,
  type Answer,
  type Browsed,
  type BrowseRequest,
  type Guess,
  type LeftOut,
} from "../../gateway/driver.ts";
import type { Format } from "./document.ts";
import { parsePick } from "./pick.ts";
import { placeOf } from "./plan.ts";
import type { Address, Settings } from "./settings.ts";
import { answerOf, type Document } from "./values.ts";

/** Lists the values of one document of a device, each with the pick that leads to it. */

/** Fetches a path in a format; rejects with what the contract has for a device that cannot be asked for it. */
export type Fetch = (path: string, format: Format) => Promise<Document>;

const formats: readonly Format[] = ["json", "xml", "csv"];
const itemsMax = 20;
const leavesMax = 5000;
const pathPattern = /^\/(?!\/)[^\s#{}]{0,500}$/;
const plainMember = /^[A-Za-z_@#][\w@#-]*$/;

interface Leaf {
  pick: string;
  path: string[];
  value: unknown;
}

/** What no pick leads to. */
type Nameless = Pick<Leaf, "path">;

function stepTo(member: string): string | undefined {
  if (plainMember.test(member)) return `.${member}`;
  return member === "" || member.includes('"') ? undefined : `["${member}"]`;
}

/** The values of a tree from its root on, level by level no deeper than a pick may go. */
function* leaves(value: unknown, pick: string, path: string[]): Generator<Leaf | Nameless | "more"> {
  if (Array.isArray(value)) {
    for (const [i, item] of value.slice(0, itemsMax).entries())
      yield* leaves(item, `${pick}[${i}]`, [...path, String(i)]);
    if (value.length > itemsMax) yield "more";
  } else if (typeof value === "object" && value !== null) {
    for (const [member, inner] of Object.entries(value)) {
      const step = stepTo(member);
      const inside = [...path, member.slice(0, 100)];
      if (step === undefined) yield { path: inside };
      else if (parsePick(pick + step) === undefined) yield "more";
      else yield* leaves(inner, pick + step, inside);
    }
  } else yield { pick, path: path.length === 0 ? ["value"] : path, value };
}

/** What a value may be by its looks; XML and CSV have nothing but texts. */
function typesOf(value: unknown): Address["type"][] {
  if (typeof value === "number" || typeof value === "bigint") return ["number"];
  if (typeof value === "boolean") return ["boolean"];
  const text = String(value).trim();
  if (/^(true|false)$/i.test(text)) return ["boolean", "text"];
  return /^[-+]?\d{1,15}([.,]\d{1,15})?$/.test(text) ? ["number", "text"] : ["text"];
}

const isGood = (answer: Answer): boolean => typeof answer !== "object" || answer.value !== null;

function entryOf(
  { pick, path, value }: Leaf,
  from: { path: string; format: Format | undefined },
  document: Document,
  settings: Settings,
): Browsed {
  const guesses: Guess[] = typesOf(value).map((type) => {
    const address = {
      path: from.path,
      pick,
      type,
      ...(from.format === undefined ? {} : { format: from.format }),
    };
    const answer = answerOf(document, document.tree, placeOf(address, settings), settings, { raw: false });
    return { address, type, answer: answer ?? { value: null, status: "bad", code: "not-found" } };
  });
  const good = guesses.filter(({ answer }) => isGood(answer));
  const [best = guesses[0]] = good;
  const hasComma = best?.type === "text" && /^\s*[-+]?\d+,\d+\s*$/.test(String(value));
  const why = hasComma ? 'with decimal: "," in the settings it would be a number' : "the text looks like one";
  return {
    what: "value",
    path,
    ...(best === undefined ? {} : { address: best.address, type: best.type, answer: best.answer }),
    ...(good.length > 1 || hasComma
      ? { guesses: good.map((one, i) => (i > 0 ? one : { ...one, why })) }
      : {}),
  };
}

async function documentOf(
  path: string,
  { format }: Settings,
  fetch: Fetch,
): Promise<{ document: Document; format: Format | undefined }> {
  let failure: unknown;
  for (const one of [format, ...formats.filter((other) => other !== format)]) {
    try {
      return { document: await fetch(path, one), format: one === format ? undefined : one };
    } catch (error) {
      if (!(error instanceof DeviceError) || error.code !== "garbage") throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/** The values of the document at `under` (default "/"); rejects with "rejected" where there is none. */
export async function* browse(
  settings: Settings,
  place: string,
  { under = "/", entriesMax, untilMs }: BrowseRequest,
  fetch: Fetch,
): AsyncGenerator<Browsed | LeftOut> {
  if (!pathPattern.test(under))
    throw new DeviceError("rejected", `${place}: "${under.slice(0, 80)}" is no path such as /api/status`);
  if (performance.now() >= untilMs) {
    yield { left: "time" };
    return;
  }
  const { document, format } = await documentOf(under, settings, fetch);
  let [entries, more, empty, over] = [0, 0, 0, 0];
  for (const leaf of leaves(document.tree, "$", [])) {
    if (leaf === "more") more++;
    else if ("pick" in leaf && (leaf.value === null || leaf.value === "")) empty++;
    else if (entries >= Math.min(entriesMax, leavesMax)) over++;
    else {
      entries++;
      yield "pick" in leaf
        ? entryOf(leaf, { path: under, format }, document, settings)
        : { what: "value", path: leaf.path, more: { why: "an address cannot name it" } };
    }
  }
  if (over > 0) yield { left: entries >= entriesMax ? "limit" : "bound", entries: over };
  if (more > 0) yield { left: "bound", branches: more };
  if (empty > 0) yield { left: "empty", entries: empty, place: under };
}
