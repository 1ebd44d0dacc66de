import { XMLParser } from "fast-xml-parser";

/** SOAP 1.2 envelopes out, trees in. What a camera sends is bounded and never trusted. */

/** An element: its children by local name, "@name" its attributes, "#text" its text. */
export interface Tree {
  readonly [name: string]: unknown;
}

export const replyBytesMax = 256 * 1024;
const depthMax = 40;
/** Longer texts are pictures or attacks, and no values. */
const textMax = 2000;

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: depthMax,
});

/** The device understood the request and says no. `code` is the innermost subcode: "NotAuthorized". */
export class SoapFault extends Error {
  readonly code: string;
  /** What it says beyond that. */
  readonly detail: Tree | undefined;
  constructor(code: string, reason: string, detail?: Tree) {
    super(reason === "" ? code : `${code}: ${reason}`);
    this.name = "SoapFault";
    this.code = code;
    this.detail = detail;
  }
}

/** These bytes are no SOAP. */
export class NotSoapError extends Error {}

const named: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The five entities of XML and characters by number; anything else stays as it is written. */
function unescape(text: string): string {
  if (!text.includes("&")) return text;
  return text.replaceAll(/&(#\d{1,7}|#x[\da-f]{1,6}|\w{2,4});/gi, (whole, entity: string) => {
    if (!entity.startsWith("#")) return named[entity] ?? whole;
    const code =
      entity[1]?.toLowerCase() === "x" ? Number.parseInt(entity.slice(2), 16) : Number(entity.slice(1));
    return code > 31 && code <= 0x10_ff_ff && !(code >= 0xd800 && code < 0xe000)
      ? String.fromCodePoint(code)
      : whole;
  });
}

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** A text as it stands in XML, without the characters that XML does not have. */
export function escape(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replaceAll(/[&<>"']/g, (sign) => escapes[sign] ?? "");
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What stands under a name, as a list: one element or several, none as an empty list. */
export function all(tree: unknown, name: string): readonly unknown[] {
  if (!isTree(tree) || !Object.hasOwn(tree, name)) return [];
  const value = tree[name];
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

/** The first element down a path of names. */
export function at(tree: unknown, ...path: readonly string[]): unknown {
  let here = tree;
  for (const name of path) [here] = all(here, name);
  return here;
}

/** The text of the element at the end of a path; undefined: it is not there, or no text of a sane length. */
export function textAt(tree: unknown, ...path: readonly string[]): string | undefined {
  const value = at(tree, ...path);
  const text = isTree(value) ? at(value, "#text") : value;
  return typeof text === "string" && text.length <= textMax ? unescape(text).trim() : undefined;
}

/** `<Envelope>` with namespaces by their usual prefixes. */
export function envelope(body: string, header = ""): string {
  const head = header === "" ? "" : `<s:Header>${header}</s:Header>`;
  return (
    '<?xml version="1.0" encoding="UTF-8"?>' +
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ' +
    'xmlns:wsa="http://www.w3.org/2005/08/addressing">' +
    `${head}<s:Body>${body}</s:Body></s:Envelope>`
  );
}

function faultOf(fault: unknown): SoapFault {
  let code = textAt(fault, "Code", "Value") ?? textAt(fault, "faultcode") ?? "Fault";
  // WS-BaseNotification has its faults as elements of the detail.
  const detail = [at(fault, "Detail"), at(fault, "detail")].find(isTree);
  code = Object.keys(detail ?? {}).find((name) => name.endsWith("Fault")) ?? code;
  let inner = at(fault, "Code", "Subcode");
  for (let depth = 0; depth < 4 && inner !== undefined; depth++) {
    code = textAt(inner, "Value") ?? code;
    inner = at(inner, "Subcode");
  }
  const reason = textAt(fault, "Reason", "Text") ?? textAt(fault, "faultstring") ?? "";
  return new SoapFault(
    (code.split(":").at(-1) ?? code).replaceAll(/[^\w-]/g, "").slice(0, 60),
    reason.slice(0, 200),
    detail,
  );
}

/** The body of a SOAP answer. Throws `SoapFault`, or `NotSoapError` for what is none. */
export function parse(xml: string): Tree {
  if (Buffer.byteLength(xml) > replyBytesMax) throw new NotSoapError(`more than ${replyBytesMax} bytes`);
  if (/<!DOCTYPE|<!ENTITY/i.test(xml)) throw new NotSoapError("a document type, which SOAP forbids");
  let tree: unknown;
  try {
    // The parser takes a document that is cut off for a whole one.
    if (!/<\/(?:[\w.-]+:)?Envelope\s*>[\s\0]*(?:<!--[^]*-->[\s\0]*)?$/.test(xml.slice(-400)))
      throw new NotSoapError("no end of an envelope");
    tree = parser.parse(xml);
  } catch (error) {
    throw error instanceof NotSoapError ? error : new NotSoapError((error as Error).message.slice(0, 200));
  }
  const body = at(tree, "Envelope", "Body");
  if (body === undefined) throw new NotSoapError("no envelope with a body");
  const fault = at(body, "Fault");
  if (fault !== undefined) throw faultOf(fault);
  return isTree(body) ? body : {};
}
