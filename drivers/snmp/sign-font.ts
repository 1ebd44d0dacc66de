import type { Varbind } from "net-snmp";
import type { Parsed } from "./multi.ts";
import { objects } from "./sign-objects.ts";
import { numberOf } from "./values.ts";

/** A sign has at most so many fonts (numFonts is INTEGER (0..255)); kerb looks at the first. */
const fontsMax = 32;

type Ask = (...oids: string[]) => Promise<(Varbind | undefined)[]>;

const numbersOf = (varbinds: readonly (Varbind | undefined)[]): (number | undefined)[] =>
  varbinds.map((one) => (one === undefined ? undefined : Number(numberOf(one))));

/**
 * Characters of a text that the sign's fonts have not: characterWidth is 0, or the row is missing while others of
 * the font are there. A sign that does not tell its fonts at all is believed to have them.
 * Source: NTCIP 1203 v03.05, 5.4.2 and 5.4.4.
 */
export async function undefinedCharacters(parsed: Parsed, ask: Ask): Promise<string[]> {
  const [usual] = numbersOf(await ask(objects.defaultFont));
  const wanted = new Map<number, Set<number>>();
  for (const { code, font = usual } of parsed.characters) {
    if (font === undefined || Number.isNaN(font)) continue;
    wanted.set(font, (wanted.get(font) ?? new Set()).add(code));
  }
  const missing = new Set<number>();
  for (const [font, codes] of wanted) {
    const index = await indexOf(font, ask);
    if (index === undefined) continue;
    const list = [...codes];
    const widths = numbersOf(await ask(...list.map((code) => `${objects.characterWidth}.${index}.${code}`)));
    if (!widths.some((width) => width !== undefined && width > 0)) continue;
    list.forEach((code, i) => {
      if ((widths[i] ?? 0) === 0) missing.add(code);
    });
  }
  return [...missing].map((code) => String.fromCodePoint(code));
}

/** The row of the font with this number: most often the row of that number. */
async function indexOf(font: number, ask: Ask): Promise<number | undefined> {
  const rows = [font, ...Array.from({ length: fontsMax }, (_, i) => i + 1)].filter(
    (row) => row >= 1 && row <= 255,
  );
  for (const row of new Set(rows)) {
    const [number] = numbersOf(await ask(`${objects.fontNumber}.${row}`));
    if (number === font) return row;
    if (number === undefined && row !== font) return undefined;
  }
  return undefined;
}
