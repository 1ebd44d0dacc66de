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

type How = Pick<Settings, "separator" | "csvHeader"> & { charset?: string | undefined };

/** The tree of a body. Throws `FormatError`. */
export async function parseDocument(
  body: Uint8Array,
  format: Format,
  { separator, csvHeader, charset }: How,
  contentType?: string,
): Promise<unknown> {
  // JSON is UTF-8 whatever else is said of it (RFC 8259, 8.1).
  if (format === "json") return parseJson(decoded(body, "utf-8"));
  const text = decoded(body, saidCharset(body, format, contentType) ?? charset ?? "utf-8");
  if (format === "xml") return parseXml(text);
  return parseCsv(text, separator, csvHeader);
}

/** The mark of byte order says it before the header does, and that before the document itself (RFC 7303, 3). */
function saidCharset(body: Uint8Array, format: Format, contentType = ""): string | undefined {
  const [first = 0, second = 0, third = 0] = body;
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  const [, quoted, bare] = /;\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i.exec(contentType) ?? [];
  if (quoted !== undefined || bare !== undefined) return quoted ?? bare;
  if (format !== "xml") return undefined;
  const head = Buffer.from(body.subarray(0, 200)).toString("latin1");
  return /^\s*<\?xml\s[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1];
}

function decoded(body: Uint8Array, charset: string): string {
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch (error) {
    if (error instanceof RangeError)
      throw new FormatError(`its character set ${JSON.stringify(charset.slice(0, 40))} is not known`);
    throw new FormatError(`it is not ${charset.toUpperCase()}`);
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
    return JSON.parse(text, /\d{16}/.test(text) ? exact : undefined) as unknown;
  } catch {
    throw new FormatError(`it is not JSON: ${shown(text)}`);
  }
}

/** An integer of 64 bits that no number holds exactly; two names of messages must not become one. */
function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return exactInteger(context?.source ?? "") ?? value;
}

/** A decimal integer as a `bigint` where it has 64 bits, signed or not; else undefined. */
export function exactInteger(text: string): bigint | undefined {
  if (!/^[-+]?\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text.replace("+", ""));
  return value >= -(2n ** 63n) && value < 2n ** 64n ? value : undefined;
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
  const rows = csvRows(text, separator);
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
    else if (character === "\n" || (character === "\r" && text[i + 1] !== "\n")) endRow();
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
