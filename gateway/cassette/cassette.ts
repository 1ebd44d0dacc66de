import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { parseYaml } from "../config/yaml.ts";

/**
 * A cassette: what a device and its driver said to each other, and the readings that came of it. A YAML text that
 * reads well in a diff; bytes stand as hex with their text beside them, what was scrubbed as `**`.
 */

/** More than a cassette holds, so that it stays a file that YAML takes and a person reads. */
export const cassetteLimits = { bytesMax: 131_072, framesMax: 3000, connectionsMax: 200 };

const scalar = z.union([z.number(), z.string(), z.boolean(), z.null()]);

const reading = z.strictObject({
  value: scalar,
  unit: z.string(),
  decimals: z.int(),
  status: z.enum(["good", "uncertain", "bad"]),
  code: z.string().optional(),
});

const record = z.strictObject({ kind: z.string(), data: z.record(z.string(), z.unknown()) });

/** Nothing at all: the device hung up. */
const dump = /^$|^(?:(?:[0-9a-f]{2}|\*[*1])(?: (?:[0-9a-f]{2}|\*[*1]))* *(?:\|.*\|)?(?:\n|$))+$/;

const cassetteSchema = z.strictObject({
  cassette: z.literal(1),
  profile: z.string(),
  driver: z.string(),
  recorded: z.string().describe("ISO 8601, UTC"),
  kerb: z.string(),
  over: z
    .enum(["tcp", "udp", "calls", "mqtt", "opcua"])
    .describe(
      "calls: the device called; mqtt: packets of what was published and listened to; opcua: messages inside a session",
    ),
  way: z
    .enum(["asks", "listens"])
    .describe("asks: all reads are compared; listens: what was known in the end"),
  identity: z.record(z.string(), z.string()),
  settings: z.record(z.string(), z.unknown()).describe("the device's own, as the site file has them"),
  scrubbed: z.array(z.string()).describe("what is not in it any more"),
  limits: z.array(z.string()).describe("which ended the recording before its time"),
  leftOut: z.int().min(1).optional().describe("records that came together with the last, and are not in it"),
  holds: z
    .strictObject({ frames: z.int(), reads: z.int(), records: z.int() })
    .optional()
    .describe("how much there must be, so that a part is not taken for the whole"),
  unstable: z.array(z.string()).describe("points that came out otherwise when it was played at once"),
  connections: z.array(
    z.array(
      z.strictObject({
        ms: z.number(),
        from: z.enum(["kerb", "device"]),
        bytes: z.string().regex(dump, { error: "expected lines of hex, with `**` for what was scrubbed" }),
      }),
    ),
  ),
  reads: z.array(z.record(z.string(), reading)),
  records: z.array(record),
});

/** Bytes of one direction that came together; none: it hung up. `hidden[i]`: byte i was scrubbed and may be any. */
export interface Frame {
  /** Since the recording began. */
  ms: number;
  from: "kerb" | "device";
  bytes: Buffer;
  hidden: Uint8Array;
}

export type ExpectedReading = z.infer<typeof reading>;
export type ExpectedRecord = z.infer<typeof record>;
export type Cassette = Omit<z.infer<typeof cassetteSchema>, "connections" | "holds"> & {
  connections: Frame[][];
};

/** What stands in for a scrubbed byte, and for one of a number that must stay a number. */
export const filler = 0x78;
export const digitFiller = 0x31;

const fillers: Record<string, number> = { "**": filler, "*1": digitFiller };

function frameOf({ ms, from, bytes: text }: { ms: number; from: Frame["from"]; bytes: string }): Frame {
  const parts = text.split("\n").flatMap((line) => (line.split("|")[0] ?? "").split(" ").filter(Boolean));
  return {
    ms,
    from,
    bytes: Buffer.from(parts.map((part) => fillers[part] ?? Number.parseInt(part, 16))),
    hidden: Uint8Array.from(parts, (part) => (part in fillers ? 1 : 0)),
  };
}

function holdsOf({ connections, reads, records }: Record<"connections" | "reads" | "records", unknown[]>) {
  return { frames: connections.flat().length, reads: reads.length, records: records.length };
}

/** Reads a cassette's text. Throws `ConfigError` with every mistake and its place. */
export function parseCassette(text: string, file: string): Cassette {
  const { value } = parseYaml(text, file, cassetteSchema, { references: false });
  const { holds, ...rest } = value;
  const found = JSON.stringify(holdsOf(value));
  if (holds !== undefined && JSON.stringify(holds) !== found) {
    const line = text.trimEnd().split("\n").length;
    const message = `a part is missing: it should hold ${JSON.stringify(holds)}, and holds ${found}`;
    throw new ConfigError([
      { file, line, column: 1, severity: "error", code: "KERB-CFG-VALUE", message, sourceLine: "" },
    ]);
  }
  return { ...rest, connections: value.connections.map((frames) => frames.map(frameOf)) };
}

const lineBytes = 32;

function dumpLines({ bytes, hidden }: Frame): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += lineBytes) {
    const part = [...bytes.subarray(at, at + lineBytes)];
    const isHidden = (i: number) => hidden[at + i] === 1;
    const mark = (byte: number): string => (byte === digitFiller ? "*1" : "**");
    const hex = part
      .map((byte, i) => (isHidden(i) ? mark(byte) : byte.toString(16).padStart(2, "0")))
      .join(" ");
    const text = part
      .map((byte, i) => (isHidden(i) ? "*" : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
      .join("");
    lines.push(`${hex.padEnd(Math.min(lineBytes, bytes.length) * 3 - 1)}  |${text}|`);
  }
  return lines;
}

function listLines(name: string, items: readonly unknown[]): string[] {
  return items.length === 0
    ? [`${name}: []`]
    : [`${name}:`, ...items.map((item) => `  - ${JSON.stringify(item)}`)];
}

/** The cassette as text, one thing a line. JSON stands inside the YAML, which takes it. */
export function cassetteText(cassette: Cassette): string {
  const { cassette: version, profile, driver, recorded, kerb, over, way, ...rest } = cassette;
  const { identity, settings, scrubbed, limits, leftOut, unstable, connections, reads, records } = rest;
  const lines = [
    "# What a device and kerb said to each other, and the readings that came of it. `**` was scrubbed.",
    "# Played by: kerb profile test FILE, kerb simulate --cassette FILE",
    ...Object.entries({
      cassette: version,
      profile,
      driver,
      recorded,
      kerb,
      over,
      way,
      identity,
      settings,
    }).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
    ...listLines("scrubbed", scrubbed),
    ...listLines("limits", limits),
    ...(leftOut === undefined ? [] : [`leftOut: ${leftOut}`]),
    ...listLines("unstable", unstable),
    `holds: ${JSON.stringify(holdsOf(cassette))}`,
    connections.length === 0 ? "connections: []" : "connections:",
  ];
  for (const frames of connections) {
    if (frames.length === 0) lines.push("  - []");
    frames.forEach((frame, i) => {
      const head = [`ms: ${frame.ms}`, `from: ${frame.from}`];
      const isEnd = frame.bytes.length === 0;
      lines.push(`  ${i === 0 ? "-" : " "} - ${head[0]}`, `      ${head[1]}`);
      lines.push(isEnd ? '      bytes: "" # hung up' : "      bytes: |");
      lines.push(...dumpLines(frame).map((line) => `        ${line}`));
    });
  }
  lines.push(reads.length === 0 ? "reads: []" : "reads:");
  for (const read of reads) {
    const points = Object.entries(read);
    if (points.length === 0) lines.push("  - {}");
    points.forEach(([name, one], i) =>
      lines.push(`  ${i === 0 ? "-" : " "} ${JSON.stringify(name)}: ${JSON.stringify(one)}`),
    );
  }
  return [...lines, ...listLines("records", records), ""].join("\n");
}
