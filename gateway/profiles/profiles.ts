import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { isRecord } from "../config/path.ts";
import { isFirmwareRange } from "./firmware.ts";
import {
  bitNames,
  bitsSchema,
  checkPoints,
  derivationSchema,
  localOverrideMistake,
  localOverrideSchema,
  pointName as name,
  text,
  unitSchema,
  valuesSchema,
  writeSchema,
} from "./point-schema.ts";
import { pointsOfClass, withClassDefaults } from "./profile-defaults.ts";
import { tooMany, withParts } from "./profile-parts.ts";
import { wordsOf, withBits, type Text } from "./profile-points.ts";
import { duration } from "./quantities.ts";
import { loadYaml } from "../config/yaml.ts";

/** The profiles that ship with kerb: `firmware-profiles/<vendor>/<model>.yaml`. */
export const profileFolder = fileURLToPath(new URL("../../firmware-profiles", import.meta.url));

const scalar = z.union([z.number(), z.string(), z.boolean()]);
const pollClass = z.enum(["fast", "normal", "slow", "push"]);
const range = z.string().refine(isFirmwareRange, {
  error: 'a firmware range is a list of comparators, such as ">=2.0 <2.4", or "*"',
});

const evidence = {
  source: z.string().optional().describe('id of the entry under `sources`, and the page: "manual p. 12"'),
  certainty: z
    .enum(["seen", "to-verify"])
    .default("seen")
    .describe("to-verify: not read in a source; the profile is then at most `community`"),
};

/** One addressable value. `address` is checked by the driver's own schema when the profile is loaded. */
const pointSchema = z.strictObject({
  address: z.unknown().optional().describe("the driver's address"),
  derive: derivationSchema.optional(),
  label: text.optional().describe("not given: that of the name in the model of the class, as unit and kind"),
  unit: unitSchema.describe("UCUM"),
  kind: z.enum(["number", "boolean", "text"]).default("number"),
  scale: z.number().default(1).describe("value = raw * scale + offset"),
  offset: z.number().default(0),
  scaleFactor: name.optional().describe("point that holds the power of ten of this one, read with it"),
  decimals: z.int().min(0).max(8).optional().describe("digits after the point that the device resolves"),
  limits: z
    .tuple([z.number(), z.number()])
    .optional()
    .describe("outside these the value is uncertain: no sensor of this model can measure it"),
  typical: z.tuple([z.number(), z.number()]).optional().describe("where a healthy installation's values lie"),
  sentinels: z
    .array(z.strictObject({ raw: z.number(), code: z.string(), reason: z.string(), ...evidence }))
    .default([])
    .describe("raw values that mean 'no value'"),
  values: valuesSchema.optional(),
  bits: bitsSchema.optional(),
  deadband: z
    .number()
    .positive()
    .optional()
    .describe("smaller changes are not reported, but once per heartbeat"),
  swingingDoor: z
    .number()
    .positive()
    .optional()
    .describe("only what a line through the values that were told would miss by more, in the point's unit"),
  heartbeat: duration.prefault("5m"),
  poll: pollClass
    .default("normal")
    .describe("push: the device tells it by itself; where it cannot, it is polled as normal"),
  once: z
    .boolean()
    .optional()
    .describe("the device shows a sample until the next one: with the same time of its own it is told once"),
  status: z
    .boolean()
    .optional()
    .describe("it says how the device is: its first value and each change are device-status events as well"),
  publish: z.boolean().default(true).describe("false: read for other points (a scale factor), not an event"),
  fixed: scalar
    .optional()
    .describe("raw value that a simulator always shows: a constant, a scale factor, a setting"),
  write: writeSchema.optional(),
  when: range.optional().describe("only for these firmware versions"),
  each: z
    .strictObject({
      setting: z.string().describe("the device's setting that counts its parts, or lists them"),
      as: z
        .string()
        .regex(/^[a-zA-Z]+$/)
        .describe('how a part is called: "G" makes G1, G2 …'),
    })
    .optional()
    .describe(
      "one such point for each part; {number}, {name} and {id} of the part stand in address and label",
    ),
  ...evidence,
});

/** One field of a record: a point without a schedule. */
const fieldSchema = pointSchema
  .omit({
    derive: true,
    bits: true,
    write: true,
    swingingDoor: true,
    poll: true,
    publish: true,
    once: true,
    status: true,
    deadband: true,
    heartbeat: true,
    scaleFactor: true,
    when: true,
    each: true,
  })
  .extend({
    address: z.unknown().describe("the driver's address"),
    privacy: z
      .enum(["none", "token", "drop"])
      .default("none")
      .describe("token: a keyed hash leaves instead of the value; drop: it never leaves the box"),
    instance: z
      .boolean()
      .default(false)
      .describe("tells several of the same record apart: a channel, a lane, a rule"),
  });

const recordSchema = z.strictObject({
  address: z.unknown().describe("the driver's address: where the record comes from"),
  kind: z.enum(["transaction", "alarm", "state"]),
  label: text.optional(),
  category: z.string().optional().describe("alarm: what it is about, such as tamper"),
  severity: z.enum(["low", "medium", "high", "critical"]).optional(),
  active: name
    .optional()
    .describe("alarm: the field that is true while it lasts; without it it is momentary"),
  fields: z.record(name, fieldSchema),
  ...evidence,
});

/** An alarm that a device does not tell but shows: it lasts while a boolean point is true. */
const alarmSchema = z.strictObject({
  point: name.describe("the boolean point, polled or pushed"),
  category: z.string().optional().describe("what it is about, such as tamper"),
  severity: z.enum(["low", "medium", "high", "critical"]).optional(),
});

const likeness = z
  .array(z.string().regex(/[^*\s]/, { error: "a bare * names nothing: leave the key out" }))
  .min(1);

/** What a device of this model says of itself. */
const recognitionSchema = z.union([
  z.literal("any"),
  z.strictObject({
    vendor: likeness.optional().describe("what it says for its maker; absent: it does not say"),
    model: likeness.describe("what it says for its model"),
    ...evidence,
  }),
]);

export const profileSchema = z.strictObject({
  version: z.literal(1),
  vendor: z.string(),
  model: z.string(),
  class: z.enum([
    "air-quality",
    "camera",
    "cabinet",
    "detector",
    "energy-meter",
    "gas-meter",
    "light-cabinet",
    "message-sign",
    "noise-meter",
    "other",
    "parking",
    "router",
    "signal-controller",
    "street-light",
    "ups",
    "waste-bin",
    "water-level",
    "water-meter",
    "water-quality",
    "weather",
    "weigh-station",
  ]),
  driver: z.string(),
  status: z.enum(["official", "community", "field-verified"]),
  firmware: range.default("*"),
  sources: z
    .record(
      z.string(),
      z.strictObject({ title: z.string(), revision: z.string().optional(), url: z.string().optional() }),
    )
    .describe("where the facts were read"),
  settings: z.record(z.string(), z.unknown()).default({}).describe("defaults for the device's settings"),
  poll: z
    .strictObject({ fast: duration.optional(), normal: duration.optional(), slow: duration.optional() })
    .default({}),
  identify: z
    .strictObject({
      standard: z.boolean().default(true).describe("ask by the protocol's own means first"),
      is: recognitionSchema
        .optional()
        .describe(
          "any: whatever speaks so, as a standard has it; else the texts that the device gives, where capitals do not count and * stands for any characters; absent: it cannot be recognised",
        ),
      vendor: z.unknown().optional(),
      model: z.unknown().optional(),
      firmware: z.unknown().optional(),
      serial: z.unknown().optional(),
      expect: z
        .array(z.strictObject({ address: z.unknown(), equals: scalar, ...evidence }))
        .default([])
        .describe("values that prove that this is the model"),
    })
    .prefault({}),
  points: z.record(
    name,
    pointSchema.refine(
      ({ status, kind, values }) => status !== true || kind !== "number" || values !== undefined,
      {
        path: ["status"],
        error:
          "a number that wanders would be an event each time: give it names (values), or leave status out",
      },
    ),
  ),
  records: z
    .record(name, recordSchema)
    .default({})
    .describe("values that a device tells together, each time as one event of its own"),
  alarms: z
    .record(name, alarmSchema)
    .default({})
    .describe(
      "events made of boolean points when these change; shaped like the records of devices that tell",
    ),
  localOverride: localOverrideSchema.optional(),
  silence: duration.optional().describe("a device that pushes and says nothing for this long is lost"),
  quirks: z
    .array(
      z.strictObject({
        id: z.string(),
        text: z.string(),
        source: z.string(),
        when: range.optional().describe("only of these firmware versions"),
      }),
    )
    .default([]),
});

const checkedProfile = z.preprocess(withClassDefaults, profileSchema).superRefine((profile, context) => {
  const { points, alarms, settings, localOverride } = profile;
  checkPoints(points, (path, message) =>
    context.addIssue({ code: "custom", path: ["points", ...path], message }),
  );
  for (const [point, { address, derive }] of Object.entries(points))
    if (address === undefined && derive === undefined)
      context.addIssue({
        code: "custom",
        path: ["points", point],
        message: "expected an address, or derive",
      });
  const bits = bitNames(points);
  for (const [point, { each }] of Object.entries(points)) {
    if (each === undefined || Object.hasOwn(settings, each.setting)) continue;
    const message = `"${each.setting}" must stand under settings, with as many parts as the model usually has`;
    context.addIssue({ code: "custom", path: ["points", point, "each", "setting"], message });
  }
  const many = tooMany(Object.values(points), settings);
  if (many !== undefined) {
    const path = many.setting === undefined ? ["points"] : ["settings", many.setting];
    context.addIssue({ code: "custom", path, message: many.message });
  }
  const wrong = localOverride === undefined ? undefined : localOverrideMistake(localOverride, points);
  if (wrong !== undefined)
    context.addIssue({ code: "custom", path: ["localOverride", wrong.at], message: wrong.message });
  for (const [alarm, { point }] of Object.entries(alarms)) {
    if (bits.has(point) || (Object.hasOwn(points, point) && points[point]?.kind === "boolean")) continue;
    const message = `there is no boolean point "${point}"`;
    context.addIssue({ code: "custom", path: ["alarms", alarm, "point"], message });
  }
});

/** With plain words for `values`, and what people read for them where that is known. */
type Worded<Item> = Omit<Item, "values" | "address"> & {
  name: string;
  /** None where it is derived. */
  address: unknown;
  values?: Record<string, string> | undefined;
  texts?: Record<string, Text> | undefined;
};
export type Point = Worded<Omit<z.infer<typeof pointSchema>, "bits">>;
type Field = Worded<z.infer<typeof fieldSchema>>;
export type RecordDefinition = Omit<z.infer<typeof recordSchema>, "fields"> & {
  name: string;
  fields: Field[];
};
export type AlarmDefinition = z.infer<typeof alarmSchema> & { name: string };
export type Profile = Omit<z.infer<typeof profileSchema>, "points" | "records" | "alarms"> & {
  /** `<vendor>/<model>`: the file's place under the profile folder. */
  id: string;
  file: string;
  /** With as many parts as the profile's own settings say. */
  points: Point[];
  /** The points as the file has them: `pointsOf` makes those of a device. */
  templates: Point[];
  records: RecordDefinition[];
  alarms: AlarmDefinition[];
};

/** The profile's points for a device of these settings: one for each of its parts where the profile says `each`. */
export function pointsOf({ templates }: Profile, settings: Record<string, unknown>): Point[] {
  return withParts(templates, settings);
}

/** Reads and checks one profile file. Throws `ConfigError` with every mistake and its place. */
export function loadProfile(id: string, folder = profileFolder): Profile {
  const file = join(folder, `${id}.yaml`);
  // A profile comes from anywhere: it must not read files or the environment of the box.
  const { value } = loadYaml(file, checkedProfile, { references: false });
  const templates = pointsNamed(value.points, value.class);
  return {
    ...value,
    id,
    file,
    templates,
    points: withParts(templates, value.settings),
    alarms: named(value.alarms),
    records: named(value.records).map((record) => ({ ...record, fields: fieldsNamed(record.fields) })),
  };
}

/** A map of things by name as a list of things with names, in its order. */
export function named<Item extends object>(items: Record<string, Item>): (Item & { name: string })[] {
  return Object.entries(items).map(([itemName, item]) => ({ ...item, name: itemName }));
}

/** Points as a file has them as a list: with words for their values, and a point of its own for each bit. */
export function pointsNamed(items: z.infer<typeof profileSchema>["points"], className?: string): Point[] {
  const known = className === undefined ? {} : pointsOfClass(className);
  return named(items).flatMap((item) => withBits({ ...item, address: item.address }, known));
}

/** Fields of a record as a file has them as a list, with words for their values. */
export function fieldsNamed(items: z.infer<typeof recordSchema>["fields"]): Field[] {
  return named(items).map(({ values, ...item }) => ({ ...item, ...wordsOf(values) }));
}

/** The ids of all profiles in a folder, sorted. */
export function listProfiles(folder = profileFolder): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((vendor) =>
      readdirSync(join(folder, vendor.name))
        .filter((file) => file.endsWith(".yaml"))
        .map((file) => `${vendor.name}/${file.slice(0, -".yaml".length)}`),
    )
    .toSorted();
}

type Tree = Record<string, unknown>;

/**
 * A device's settings with the profile's defaults under them, before the driver's schema parses them. Nested
 * objects are merged key by key, except where both name a different `type`: a serial line's baud rate has no
 * place in a TCP transport.
 */
export function mergeSettings(profile: Tree, device: Tree): Tree {
  const merged: Tree = { ...profile, ...device };
  for (const [key, own] of Object.entries(device)) {
    const under = profile[key];
    if (!isRecord(under) || !isRecord(own)) continue;
    const isOtherType =
      own["type"] !== undefined && under["type"] !== undefined && own["type"] !== under["type"];
    merged[key] = isOtherType ? own : mergeSettings(under, own);
  }
  return merged;
}

/** A point as `simulators/simulator.ts` wants it. */
type SimulatedPoint = Pick<Point, "name" | "address" | "scale" | "offset"> & {
  typical?: [number, number];
  scaleFactor?: string;
  fixed?: number | string;
};

function simulatedPoint({
  name: pointName,
  address,
  scale,
  offset,
  ...point
}: Omit<Field, "privacy" | "instance"> & Partial<Pick<Point, "scaleFactor" | "write">>): SimulatedPoint {
  return {
    name: pointName,
    address,
    scale,
    offset,
    ...(point.typical === undefined ? {} : { typical: point.typical }),
    ...(point.scaleFactor === undefined ? {} : { scaleFactor: point.scaleFactor }),
    ...(point.fixed === undefined ? {} : { fixed: rawOf(point.fixed) }),
    ...(point.write === undefined ? {} : { isWritable: true }),
  };
}

function constantPoint(pointName: string, address: unknown, fixed: number | string): SimulatedPoint {
  return { name: pointName, address, scale: 1, offset: 0, fixed };
}

function rawOf(value: z.infer<typeof scalar>): number | string {
  return typeof value === "boolean" ? Number(value) : value;
}

/** The records that a simulator of this model tells, as `simulators/simulator.ts` wants them. */
export function simulatedRecords(profile: Pick<Profile, "records">) {
  return profile.records.map(({ name: recordName, address, kind, active, fields }) => ({
    name: recordName,
    address,
    kind,
    ...(active === undefined ? {} : { active }),
    fields: fields.map((field) => simulatedPoint(field)),
  }));
}

/**
 * What a simulator of this model must show: the points, the values that `identify.expect` wants to see (named
 * "identify.expect.0" …) and `identity` at the addresses where the model keeps it ("identify.serial" …).
 */
export function simulatedPoints(
  profile: Pick<Profile, "points" | "identify">,
  identity: Partial<Record<"vendor" | "model" | "firmware" | "serial", string>> = {},
): SimulatedPoint[] {
  const { identify } = profile;
  return [
    ...profile.points.filter(({ derive }) => derive === undefined).map(simulatedPoint),
    ...identify.expect.map(({ address, equals }, index) =>
      constantPoint(`identify.expect.${index}`, address, rawOf(equals)),
    ),
    ...(["vendor", "model", "firmware", "serial"] as const).flatMap((key) =>
      identify[key] === undefined || identity[key] === undefined
        ? []
        : [constantPoint(`identify.${key}`, identify[key], identity[key])],
    ),
  ];
}
