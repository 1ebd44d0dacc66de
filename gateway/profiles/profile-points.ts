import { labelOf, type pointsOfClass, textsOf } from "./profile-defaults.ts";
import type { Derivation } from "./derived.ts";

/** What people read, in both languages. */
export interface Text {
  en: string;
  vi: string;
}
type Said = string | { is: string; en: string; vi: string };

/** Values as a file has them as plain words, and the texts of those words: the file's, else the models'. */
export function wordsOf(values: Record<string, Said> | undefined): {
  values?: Record<string, string>;
  texts?: Record<string, Text>;
} {
  if (values === undefined) return {};
  const said = Object.values(values);
  const words = Object.entries(values).map(([raw, one]) => [raw, typeof one === "string" ? one : one.is]);
  const own = said.flatMap((one) => (typeof one === "string" ? [] : [[one.is, { en: one.en, vi: one.vi }]]));
  const texts = {
    ...textsOf(said.map((one) => (typeof one === "string" ? one : one.is))),
    ...(Object.fromEntries(own) as Record<string, Text>),
  };
  return {
    values: Object.fromEntries(words) as Record<string, string>,
    ...(Object.keys(texts).length === 0 ? {} : { texts }),
  };
}

/** A point as a file has it. */
interface Given {
  name: string;
  values?: Record<string, Said> | undefined;
  bits?: Record<string, Said> | undefined;
}
type Worded<Point> = Omit<Point, "values" | "bits"> & ReturnType<typeof wordsOf>;

/** What a bit has of the number that it is in: when that is read and told, and where it was found. */
const inherited = ["poll", "heartbeat", "deadband", "when", "each", "source", "certainty"] as const;

function bitOf(of: Given, position: number, said: Said, known: ReturnType<typeof pointsOfClass>) {
  const name = typeof said === "string" ? said : said.is;
  const label = typeof said === "string" ? labelOf(name, known) : { en: said.en, vi: said.vi };
  const derive: Derivation = { bitmask: { of: of.name, mask: 2 ** position } };
  const kept = Object.entries(of).filter(([key]) => (inherited as readonly string[]).includes(key));
  return {
    ...Object.fromEntries(kept),
    name,
    derive,
    unit: "1",
    kind: "boolean",
    scale: 1,
    offset: 0,
    sentinels: [],
    publish: true,
    ...(label === undefined ? {} : { label }),
  };
}

/** The point, and after it a boolean one for each of its bits, read and told when it is. */
export function withBits<Point extends Given>(
  given: Point,
  known: ReturnType<typeof pointsOfClass>,
): Worded<Point>[] {
  const { bits = {}, values, ...point } = given;
  return [
    { ...point, ...wordsOf(values) },
    ...Object.entries(bits).map(
      ([position, said]) => bitOf(given, Number(position), said, known) as unknown as Worded<Point>,
    ),
  ];
}
