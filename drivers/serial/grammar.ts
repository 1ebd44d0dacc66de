import { z } from "zod";

/**
 * The frame grammar of an instrument, as a profile holds it under `settings.grammar`: data, and no expressions.
 * Text in it may hold control characters ("\x02" in YAML's double quotes).
 */

const name = z.string().regex(/^[a-zA-Z][a-zA-Z0-9]*$/, { error: 'a name in camelCase, such as "data"' });
const bytes = z.string().min(1).max(64);

/** Where something stands in a frame's text. */
const at = z
  .union([
    z.int().min(-64).max(1023),
    z.tuple([z.int().min(0).max(4095), z.int().min(1).max(4095)]),
    z.string().regex(/^[\w-]+(\.[\w-]+)*$/),
  ])
  .describe(
    "4: the fifth part of a split frame (-1: the last) · [6, 8]: 8 characters from the seventh on · axles.0.weight: a member of a JSON frame",
  );

const checksum = z.strictObject({
  kind: z.enum(["xor", "sum8", "sum16", "crc16", "crc16-modbus", "crc16-ccitt"]),
  as: z
    .enum(["hex", "decimal", "binary", "sdi12"])
    .default("hex")
    .describe("how it is written: hexadecimal digits, decimal digits, bytes (low first), SDI-12's three"),
  over: z.enum(["frame", "body"]).describe("frame: from start to end with both · body: what is between"),
  place: z.enum(["tail", "body"]).describe("tail: after the end · body: its last characters"),
  digits: z.int().min(1).max(5).default(2).describe("characters that it takes"),
  after: bytes.optional().describe('place body: the text between data and checksum, such as "*"'),
});

const framing = z.strictObject({
  start: bytes
    .optional()
    .describe("bytes that begin a frame; without them it begins where the last one ended"),
  end: bytes.describe("bytes that end it"),
  tail: z.int().min(0).max(8).default(0).describe("bytes after the end that still belong to it"),
  size: z
    .int()
    .min(1)
    .max(4096)
    .optional()
    .describe("characters between start and end, where always the same"),
  lengthAt: z
    .int()
    .min(1)
    .max(8)
    .optional()
    .describe("the byte at this place holds how many stand between it and the end"),
  lengthMax: z.int().min(8).max(65_536).default(512),
  encoding: z.enum(["latin1", "utf8"]).default("latin1"),
  checksum: checksum.optional(),
});

const quality = z.enum(["good", "uncertain", "bad"]);
const meaning = z.strictObject({ quality, reason: z.string() });

const bit = z.string().regex(/^([12]?\d|3[01])$/, { error: "a bit, 0 to 31" });
const match = z.array(z.strictObject({ at, is: z.string() })).default([]);

const flag = z
  .strictObject({
    at,
    match: match.describe("it is read only where these stand: the unit of one kind of transducer"),
    rest: z
      .boolean()
      .default(false)
      .describe("it and all parts after it, or none: the status columns at the end of a row"),
    as: z
      .enum(["hex", "binary", "text"])
      .describe("hex: bits, written as digits · binary: the bits of one byte · text: looked up as it stands"),
    code: z.string().regex(/^\S+$/).describe('what comes before the native code: "gesytec-error"'),
    bits: z.record(bit, meaning).default({}),
    clear: z.record(bit, meaning).default({}).describe("bits that mean something at 0"),
    values: z.record(z.string(), meaning).default({}),
    other: quality.default("good").describe("of bits and texts that are not listed"),
    only: z.array(name).optional().describe("the fields that it speaks of; absent: all"),
  })
  .describe("part of a frame that says how good its values are; the native code stays with them");

const field = z.strictObject({
  at,
  as: z
    .enum(["decimal", "decimal-comma", "gesytec", "hex", "bcd", "boolean", "text"])
    .default("decimal")
    .describe("gesytec: ±dddd±ee, mantissa and exponent · boolean: true, false, 1, 0"),
  none: z.record(z.string(), z.string()).default({}).describe("texts that mean 'no value', and their code"),
});
const fields = z.record(name, field);

const time = z
  .strictObject({
    at,
    format: z
      .string()
      .min(2)
      .max(32)
      .describe('"MM/DD/YY HH:mm", "YYYY-MM-DDTHH:mm:ss", "iso", "unix", "unixms"'),
    wholeHours: z.boolean().default(false).describe("rows with another minute are not of interest"),
    required: z
      .boolean()
      .default(false)
      .describe("without a time it is no such frame but the line with the names of the columns"),
  })
  .describe("the instrument's own time of the values");

const frame = z.strictObject({
  match: match.describe("what tells this frame from others"),
  split: z
    .union([z.literal("json"), bytes])
    .optional()
    .describe('the delimiter between parts (" ": one or more blanks), or "json"'),
  parts: z.int().min(1).max(256).optional().describe("fewest parts of a whole frame"),
  partsMax: z.int().min(1).max(256).optional().describe("most parts: a row with more has other columns"),
  station: at.optional().describe("where it names the instrument that sent it"),
  time: time.optional(),
  fields: fields.default({}),
  flags: z.array(flag).default([]),
  items: z
    .strictObject({
      from: z.int().min(0).max(1023).describe("the first part, or character, of the first item"),
      size: z.int().min(1).max(256).describe("parts, or characters, of one item"),
      key: at.describe("what tells items apart, counted from the item's own beginning, as are its fields"),
      fields,
      flags: z.array(flag).default([]),
    })
    .optional()
    .describe("a group that repeats: the channels of an analyser"),
  sequence: at.optional().describe("a number that grows by one with each frame"),
  settled: z
    .strictObject({
      field: name,
      above: z.number(),
      below: z.number(),
      stable: z.strictObject({ field: name, is: z.string() }),
    })
    .optional()
    .describe(
      "a weighing: the frame in which the field stood still above, last, is told when it falls below",
    ),
});

const request = z
  .strictObject({
    send: z
      .string()
      .max(128)
      .optional()
      .describe('the bytes; "{station}" stands for the setting, "{check}" for the checksum'),
    check: checksum.pick({ kind: true, as: true, digits: true }).optional(),
    answer: name.optional().describe("the frame that answers it"),
    lines: z
      .int()
      .min(1)
      .max(64)
      .default(1)
      .describe("frames of an answer at most; the last good one counts"),
    quiet: z
      .int()
      .min(20)
      .max(5000)
      .default(300)
      .describe("ms of silence that end an answer of several frames"),
    sdi12: z
      .string()
      .regex(/^(M|MC)[1-9]?$/)
      .optional()
      .describe("SDI-12: measure, wait, and fetch the values; fields are value1, value2 …"),
    flags: z
      .array(flag)
      .default([])
      .describe("SDI-12: values that say how good the others are; 0 is the first, written without a plus"),
  })
  .refine(
    ({ send, answer, sdi12 }) => (sdi12 === undefined) === (send !== undefined && answer !== undefined),
    {
      error: "a request has `send` and `answer`, or `sdi12`",
    },
  );

export const grammar = z
  .strictObject({
    dialect: z.string().describe("for people and for the simulator: which dialect this is"),
    framing: framing,
    stationDigits: z
      .int()
      .min(1)
      .max(8)
      .default(1)
      .describe("a station number is filled up to these with zeros"),
    wake: z
      .array(z.strictObject({ send: bytes, answer: bytes }))
      .max(4)
      .default([])
      .describe("sent before each read, one after the other, and the text that must come"),
    requests: z.record(name, request).default({}),
    frames: z.record(name, frame).default({}),
    identify: z
      .strictObject({
        request: name,
        vendor: name.optional(),
        model: name.optional(),
        firmware: name.optional(),
        serial: name.optional(),
      })
      .optional()
      .describe("the request that asks who is there, and the fields of its answer"),
  })
  .superRefine((value, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    for (const [key, { answer }] of Object.entries(value.requests)) {
      if (answer !== undefined && !Object.hasOwn(value.frames, answer))
        complain(["requests", key, "answer"], `there is no frame "${answer}"`);
    }
    const asked = value.identify?.request;
    if (asked !== undefined && !Object.hasOwn(value.requests, asked))
      complain(["identify", "request"], `there is no request "${asked}"`);
    const { checksum: sum, tail } = value.framing;
    for (const [key, { split, flags, items }] of Object.entries(value.frames)) {
      const isWithout = split === undefined || split === "json";
      if (items?.flags.some(({ rest }) => rest) || (isWithout && flags.some(({ rest }) => rest)))
        complain(["frames", key, "flags"], "`rest` speaks of the parts of a split frame");
    }
    if (sum?.place === "tail" && tail < sum.digits)
      complain(["framing", "tail"], "the checksum does not fit into the tail");
  });

type Grammar = z.infer<typeof grammar>;
export type Framing = Grammar["framing"];
export type Checksum = NonNullable<Framing["checksum"]>;
export type Frame = Grammar["frames"][string];
export type Field = Frame["fields"][string];
export type Flag = Frame["flags"][number];
export type At = Field["at"];
export type Request = Grammar["requests"][string];
