/**
 * What the SXL for traffic-light controllers (RSMP Nordic, 1.2.1) says of the values of its statuses, for the lint of
 * profiles: whole numbers with their range, booleans, and texts of a closed set. What is not here is any text.
 */

type Value = readonly [least: number, greatest: number] | "boolean" | readonly string[];

const sources = ["operator_panel", "calendar_clock", "control_block", "forced", "startup", "other"];
const byIntersection = { intersection: [0, 255], status: "boolean", source: sources } as const;
const count = [0, 65_535] as const;
/** In lists of all detector logics -1 says that nothing could be measured. */
const countOrNone = [-1, 65_535] as const;
const classes = ["P", "PS", "L", "LS", "B", "SP", "MC", "C", "F"];
const ofClasses = (value: Value): Record<string, Value> =>
  Object.fromEntries(classes.map((name) => [name, value]));

const statuses: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  S0001: { cyclecounter: [0, 999], basecyclecounter: [0, 999], stage: [0, 999] },
  S0005: { status: "boolean" },
  S0006: { status: "boolean", emergencystage: [0, 255] },
  S0007: byIntersection,
  S0008: byIntersection,
  S0009: byIntersection,
  S0010: byIntersection,
  S0011: byIntersection,
  S0012: byIntersection,
  S0013: { intersection: [0, 255], status: ["0", "1", "2", "3"] },
  S0014: { status: [1, 255], source: sources },
  S0015: { status: [1, 255], source: sources },
  S0016: { number: [1, 65_025] },
  S0017: { number: [1, 65_025] },
  S0019: { number: [1, 65_025] },
  S0020: {
    intersection: [0, 255],
    controlmode: ["startup", "control", "standby", "failure", "test"],
  },
  S0025: { ToGConfidence: [0, 100], ToRConfidence: [0, 100] },
  S0032: { intersection: [0, 255], status: ["local", "centralized", "off"], source: sources },
  S0034: { status: count },
  S0091: { user: ["0", "1", "2"] },
  S0092: { user: ["0", "1", "2"] },
  S0096: { year: [0, 9999], month: [1, 12], day: [1, 31], hour: [0, 23], minute: [0, 59], second: [0, 59] },
  S0201: { vehicles: count },
  S0202: { speed: count },
  S0203: { occupancy: [0, 100] },
  S0204: ofClasses(count),
  S0205: { vehicles: countOrNone },
  S0206: { speed: countOrNone },
  S0207: { occupancy: [-1, 100] },
  S0208: ofClasses(countOrNone),
};

/** What the SXL says of one return value of a status; undefined where it is any text, or none of the SXL's. */
function valueOf(code: string, name: string): Value | undefined {
  const names = Object.hasOwn(statuses, code) ? statuses[code] : undefined;
  return names !== undefined && Object.hasOwn(names, name) ? names[name] : undefined;
}

/** What a status can hold, read as its address says: one entry of a list is as the SXL has the whole. */
export function statusFacts({
  status,
  name,
  as,
  of,
}: {
  status: string;
  name: string;
  as: "text" | "number" | "boolean";
  of?: "chars" | "list" | undefined;
}) {
  const known = as === "boolean" || of === "chars" ? undefined : valueOf(status, name);
  if (known === undefined || typeof known === "string") return { gives: as };
  const [first] = known;
  if (as === "number")
    return typeof first === "number"
      ? { gives: as, raw: known as readonly [number, number], isWhole: true }
      : { gives: as };
  return typeof first === "string" ? { gives: as, words: known as readonly string[] } : { gives: as };
}
