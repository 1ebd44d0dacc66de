import type { Settings } from "./settings.ts";

/** Bodies as trees in which a pick finds its way. Bounded: size before it comes here, depth and rows here. */

export type Format = Settings["format"];

const depthMax = 64;
const rowsMax = 20_000;
const columnsMax = 500;

/** A body is not what its format says. `message` says how; the caller knows the place. */
export class FormatError extends Error {}

const usual: Record<Format, RegExp> = {
  json: /^(application\/([\w.-]+\+)?json|text\/json)$/,
  xml: /^(application|text)\/([\w.-]+\+)?xml$/,
  csv: /^(text\/(csv|plain|tab-separated-values)|application\/(csv|octet-stream|vnd\.ms-excel))$/,
};

/** Whether a body of this content type may be of this format; a body that names none may be. */
export function isExpected(
  contentType: string | undefined,
  format: Format,
  also: readonly string[],
): boolean {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  return type === undefined || type === "" || usual[format].test(type) || also.includes(type);
}

/** The tree of a body. Throws `FormatError`. */
export async function parseDocument(
  body: Uint8Array,
  format: Format,
  { separator, csvHeader }: Pick<Settings, "separator" | "csvHeader">,
): Promise<unknown> {
  const text = decoded(body);
  if (format === "json") return parseJson(text);
  if (format === "xml") return parseXml(text);
  return parseCsv(text, separator, csvHeader);
}

function decoded(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw new FormatError("it is not UTF-8");
  }
}

/** JSON at most 64 levels deep. Members named `__proto__` are members like others; nothing is ever merged. */
function parseJson(text: string): unknown {
  let depth = 0;
  let isText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (isText) {
      if (code === 92) i++;
      else if (code === 34) isText = false;
    } else if (code === 34) isText = true;
    else if (code === 91 || code === 123) {
      if (++depth > depthMax) throw new FormatError(`it is more than ${depthMax} levels deep`);
    } else if (code === 93 || code === 125) depth--;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new FormatError(`it is not JSON: ${shown(text)}`);
  }
}

/** An integer beyond 2^53 as it stands in the text; undefined when no such literal has that value. */
export function exactInteger(text: string, rounded: number): bigint | undefined {
  for (const [literal] of text.matchAll(/(?<![\w.])-?\d{16,19}(?![\w.])/g))
    if (Number(literal) === rounded) return BigInt(literal);
  return undefined;
}

/** XML without DOCTYPE and entities of its own: attributes are "@name", the text beside them is "#text". */
async function parseXml(text: string): Promise<unknown> {
  // Nobody who has only JSON devices pays for it.
  const { XMLParser, XMLValidator } = await import("fast-xml-parser");
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) throw new FormatError("it has a DOCTYPE");
  try {
    if (XMLValidator.validate(text) !== true) throw new FormatError(`it is not XML: ${shown(text)}`);
    return new XMLParser({
      ignoreAttributes: false,
      attributeNamePrefix: "@",
      parseTagValue: false,
      parseAttributeValue: false,
      processEntities: false,
      removeNSPrefix: true,
      ignoreDeclaration: true,
      ignorePiTags: true,
      maxNestedTags: depthMax,
    }).parse(text) as unknown;
  } catch (error) {
    if (error instanceof FormatError) throw error;
    throw new FormatError(`it is not XML: ${(error as Error).message.slice(0, 80)}`);
  }
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The five entities and the characters by number that every XML may have. */
export function xmlText(text: string): string {
  return text.replaceAll(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{2,4}));/g,
    (whole: string, ten?: string, sixteen?: string, name?: string) => {
      if (name !== undefined) return entities[name] ?? whole;
      const code = ten === undefined ? Number.parseInt(sixteen ?? "", 16) : Number(ten);
      return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

/** CSV (RFC 4180): a list of rows, each an object by column name, or a list where no line names the columns. */
function parseCsv(text: string, separator: string, hasHeader: boolean): unknown {
  const rows = csvRows(text.replace(/^\uFEFF/, ""), separator);
  if (!hasHeader) return rows;
  const [names = [], ...values] = rows;
  // A page in HTML is a table of one column to a tolerant reader.
  if (names[0]?.trimStart().startsWith("<")) throw new FormatError(`it is not CSV: ${shown(text)}`);
  if (names.length === 0) throw new FormatError("it has no line with the names of columns");
  return values.map((cells) => {
    if (cells.length !== names.length)
      throw new FormatError(`a row has ${cells.length} cells, the first line ${names.length}`);
    const row = Object.create(null) as Record<string, string>;
    names.forEach((name, i) => (row[name.trim()] = cells[i] ?? ""));
    return row;
  });
}

function csvRows(text: string, separator: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  const endCell = () => {
    row.push(cell);
    cell = "";
    if (row.length > columnsMax) throw new FormatError(`more than ${columnsMax} columns`);
  };
  const endRow = () => {
    endCell();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
    if (rows.length > rowsMax) throw new FormatError(`more than ${rowsMax} rows`);
  };
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (isQuoted) {
      if (character !== '"') cell += character;
      else if (text[i + 1] === '"') cell += text[i++]!;
      else isQuoted = false;
    } else if (character === '"' && cell === "") isQuoted = true;
    else if (character === separator) endCell();
    else if (character === "\n") endRow();
    else if (character !== "\r") cell += character;
  }
  if (isQuoted) throw new FormatError("it ends within a quoted cell");
  if (cell !== "" || row.length > 0) endRow();
  return rows;
}

/** The beginning of a body for an error message. */
function shown(text: string): string {
  return JSON.stringify(
    text
      .slice(0, 40)
      .replaceAll(/[^\x20-\x7e]+/g, " ")
      .trim(),
  );
}
