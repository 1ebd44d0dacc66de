/** Where a text of a device or of kerb has secrets and persons, by what their place is called. */

/** What a person, or what belongs to one, is called; not an interface, a template, a passenger, a microphone. */
const person =
  "(?<!inter|sur|type)face(?!tt)|(?<!tem)plate(?!au)|person|owner|(?<!micro)phone|(?<!dis)card(?!inal)|photo(?!cell|volt|sens|elec|syn|res|diod|n)|portrait|licen[cs]e";
const secret =
  "(?<!by|com)pass(?!eng|ed|ive|ing|age|[_-]?thr)|pwd|secret|(?<!source|config|configuration|profile|input|output)token|communit|api_?key|[_-]pin(?![a-z])|login|user_?name";

/** What a secret or personal member of JSON is called, with its quotes left away. */
const memberName = `(?:[^"]{0,100}(?:${person}|${secret})[^"]{0,100}|user|driver(?:_?name)?)`;
/** The end of a text behind which a password or login stands. */
export const secretMember = new RegExp(`"(?:${memberName}|pin|key|code)"\\s*:\\s*$`, "i");

const wholeMember = new RegExp(`^(?:${memberName}|pin|key)$`, "i");
/** Is a member of this name a secret, or somebody's? */
export const isPersonalMember = (name: string): boolean => wholeMember.test(name);

/** A place in a text; in a number only its digits can be hidden. */
export interface Place {
  start: number;
  end: number;
  isNumber: boolean;
}

const member = new RegExp(`"(${memberName})"\\s*:\\s*`, "gi");
/** One thing of JSON: a text (that it is a name shows behind it), a number, a bracket. */
const token = /"((?:[^"\\]|\\.)*)"(\s*:)?|-?\d[\d.eE+-]*|[[\]{}]/g;
const isCounting = /count|total/i;

/** The values in one value of JSON, however deep; what is true, false or null says nothing of anybody. */
function valuesAt(text: string, start: number): { places: Place[]; end: number } {
  const places: Place[] = [];
  let depth = 0;
  let end = start;
  if (!/["\d[{-]/.test(text[start] ?? "")) return { places, end };
  token.lastIndex = start;
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [one, inner, isName] = found;
    end = token.lastIndex;
    if (one === "{" || one === "[") depth++;
    else if (one === "}" || one === "]") depth--;
    else if (inner === undefined) places.push({ start: found.index, end, isNumber: true });
    else if (isName === undefined && inner !== "")
      places.push({ start: found.index + 1, end: found.index + 1 + inner.length, isNumber: false });
    if (depth <= 0) break;
  }
  return { places, end };
}

function members(text: string): Place[] {
  const found: Place[] = [];
  member.lastIndex = 0;
  for (let name = member.exec(text); name !== null; name = member.exec(text)) {
    const { places, end } = valuesAt(text, member.lastIndex);
    // How many persons there are is what a counter measures.
    found.push(...places.filter(({ isNumber }) => !isNumber || !isCounting.test(name?.[1] ?? "")));
    member.lastIndex = end;
  }
  return found;
}

const said = `(?!(?:true|false|[01])["<])`;
/** What opens a device by its query alone. */
const queryName = "key|app_?id|auth|sig|signature|session(?:_?id)?|sid|user";
/** Elsewhere than in JSON. What ONVIF calls a token is the name of a channel. */
const others = [
  new RegExp(
    `[?&](?:[\\w.-]{0,100}(?:${person}|${secret})[\\w.-]{0,100}|${queryName})=([^&\\s#"'<>]+)`,
    "dgi",
  ),
  new RegExp(`\\bName="[^"]{0,100}(?:${person})[^"]{0,100}"\\s+Value="${said}([^"]+)"`, "dgi"),
  new RegExp(`\\bValue="${said}([^"]+)"\\s+Name="[^"]{0,100}(?:${person})[^"]{0,100}"`, "dgi"),
  new RegExp(
    `<(?:[\\w.-]+:)?[\\w.-]{0,100}(?:${person})[\\w.-]{0,100}(?:\\s[^<>]*)?>${said}([^<\\s][^<]*)<`,
    "dgi",
  ),
];

/** Every value that is called like a secret or a person: in JSON, in a query, in XML. */
export function personalPlaces(text: string): Place[] {
  const rest = others.flatMap((pattern) =>
    [...text.matchAll(pattern)].flatMap(({ indices }): Place[] => {
      const [start, end] = indices?.[1] ?? [0, 0];
      return [{ start, end, isNumber: false }];
    }),
  );
  return [...members(text), ...rest];
}
