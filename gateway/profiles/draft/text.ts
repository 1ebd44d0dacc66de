import { printable } from "../../errors.ts";

/** Parts of a profile's text: YAML in one line, comments, names. */

const plainKey = /^[a-zA-Z_]\w*$/;
const commentMax = 118;
const namePartsMax = 16;
const namePartMax = 40;

/** A value as YAML has it in one line: `{ node: "i=85", index: 0 }`. */
export function flowText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flowText).join(", ")}]`;
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return printable(JSON.stringify(value) ?? "null");
  const fields = Object.entries(value).map(
    ([key, one]) => `${plainKey.test(key) ? key : printable(JSON.stringify(key))}: ${flowText(one)}`,
  );
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

/** Words as comment lines, broken between words. */
export function comment(text: string, indent: string, hang = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of printable(text).replaceAll(/\s+/g, " ").trim().split(" ")) {
    const used = indent.length + 2 + line.length + 1 + word.length;
    if (line !== "" && used > commentMax) {
      lines.push(line);
      line = `${hang}${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].filter((one) => one.trim() !== "").map((one) => `${indent}# ${one}`);
}

/** A text as one comment behind a line. */
export function remark(text: string): string {
  return ` # ${printable(text).replaceAll(/\s+/g, " ").slice(0, commentMax)}`;
}

/** Vietnamese letters without their marks, and only what a name may have. */
function words(text: string): string[] {
  const plain = text.normalize("NFD").replaceAll(/\p{M}/gu, "").replaceAll("đ", "d").replaceAll("Đ", "D");
  return plain.match(/[A-Za-z0-9]+/g) ?? [];
}

function camelCase(text: string): string {
  return words(text)
    .map((word, i) => (i === 0 ? word.charAt(0).toLowerCase() : word.charAt(0).toUpperCase()) + word.slice(1))
    .join("")
    .slice(0, namePartMax);
}

/** "native.pump3.flowRate" of a path of names; `taken` keeps it from being given twice. */
export function nativeName(path: readonly string[], taken: Set<string>): string {
  const parts = path
    .flatMap((name) => name.split("."))
    .map(camelCase)
    .filter((part) => part !== "")
    .slice(-namePartsMax);
  const name = ["native", ...(parts.length === 0 ? ["value"] : parts)].join(".");
  let unique = name;
  for (let i = 2; taken.has(unique); i++) unique = `${name}.${i}`;
  taken.add(unique);
  return unique;
}

/** "eastron-gmbh" of "Eastron GmbH": a part of a profile's id. */
export function slug(text: string): string {
  return words(text).join("-").toLowerCase().slice(0, namePartMax);
}
