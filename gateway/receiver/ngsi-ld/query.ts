import type { Context } from "hono";
import { didYouMean, listed, quoted } from "../../config/words.ts";
import { shortType } from "./context.ts";
import { Problem } from "./problem.ts";

/** What a request asks for by its parameters; undefined: no bound. `isSimplified`: values without their metadata. */
export interface Query {
  type: string[] | undefined;
  id: string[] | undefined;
  gateway: string | undefined;
  limit: number;
  offset: number;
  count: boolean;
  isSimplified: boolean;
}

export const limitMax = 1000;
const limitUsual = 20;

const forOne = ["type", "options", "format"];
const forMany = [...forOne, "id", "gateway", "limit", "offset", "count"];
/** Parameters and words of the standard that this view has not. Source: ETSI GS CIM 009, 5.7.1, 5.7.2, 6.3.7 to 6.3.18. */
const beyond = [
  ..."idPattern attrs pick omit q csf scopeQ geometry georel coordinates geoproperty geometryProperty".split(
    " ",
  ),
  ..."lang local datasetId join joinLevel containedBy orderBy expandValues jsonKeys entityMap splitEntities".split(
    " ",
  ),
];
const representations = ["normalized", "simplified", "keyValues"];
const beyondRepresentations = ["concise", "sysAttrs"];

/** Reads the parameters of a list of entities or of one entity. What would be ignored is refused: it would be another answer. */
export function queryOf(context: Context, asks: "many" | "one"): Query {
  const names = asks === "many" ? forMany : forOne;
  for (const [name, values] of Object.entries(context.req.queries())) {
    if (!names.includes(name)) throw unknown(quoted(name), name, names, [...beyond, ...forMany]);
    if (values.length > 1) throw bad(`${quoted(name)} is given more than once`);
    if (values[0] === "") throw bad(`${quoted(name)} is empty; leave it out, or give it a value`);
  }
  const list = (name: string, between: string | RegExp = ",") =>
    context.req
      .query(name)
      ?.split(between)
      .filter((one) => one !== "");
  const count = isCount(context.req.query("count"));
  return {
    type: types(list("type", /[,|]/)),
    id: ids(list("id")),
    gateway: context.req.query("gateway"),
    limit: whole(context, "limit", count ? 0 : 1, limitMax, limitUsual),
    offset: whole(context, "offset", 0, Number.MAX_SAFE_INTEGER, 0),
    count,
    isSimplified: isSimplified(list("options") ?? [], list("format") ?? []),
  };
}

/** Of the expressions of the standard, "one or the other" (4.17: "," or "|") is known here. */
function types(asked: string[] | undefined): string[] | undefined {
  const beyondList = asked?.find((type) => /[();]/.test(type));
  if (beyondList === undefined) return asked?.map(shortType);
  const detail = `"type" with ${quoted(/[();]/.exec(beyondList)?.[0] ?? "")} is not supported here; this view knows types with "," or "|" between them.`;
  throw new Problem("OperationNotSupported", 422, detail);
}

function ids(asked: string[] | undefined): string[] | undefined {
  const odd = asked?.find((id) => !/^[a-z][a-z\d+.-]*:\S+$/i.test(id));
  if (odd !== undefined) throw bad(`"id" must be a URI, not ${quoted(odd)}`);
  return asked;
}

function bad(sentence: string): Problem {
  return new Problem("BadRequestData", 400, `${sentence}.`);
}

/** Of a word that means nothing here: whether the standard has it, and which words there are. */
function unknown(said: string, word: string, here: readonly string[], standard: readonly string[]): Problem {
  const knows = `; this view knows ${listed(here)}.`;
  if (standard.includes(word))
    return new Problem("OperationNotSupported", 422, `${said} is not supported here${knows}`);
  return new Problem("BadRequestData", 400, `${said} is unknown${didYouMean(word, here) || knows}`);
}

function isCount(text = "false"): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw bad(`"count" must be "true" or "false", not ${quoted(text)}`);
}

function isSimplified(options: readonly string[], format: readonly string[]): boolean {
  for (const [name, words] of Object.entries({ options, format }))
    for (const word of words)
      if (!representations.includes(word))
        throw unknown(quoted(`${name}=${word}`), word, representations, beyondRepresentations);
  const wanted = new Set([...options, ...format].map((word) => word !== "normalized"));
  if (wanted.size > 1) throw bad(`"options" and "format" ask for two representations at once`);
  return wanted.has(true);
}

function whole(context: Context, name: string, least: number, most: number, absent: number): number {
  const text = context.req.query(name);
  if (text === undefined) return absent;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw bad(`"${name}" must be a whole number from ${least} to ${most}, not ${quoted(text)}`);
}
