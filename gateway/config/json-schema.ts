import { z } from "zod";
import { profileSchema } from "../profiles/profiles.ts";
import { twinSchema } from "../twin/schema.ts";
import {
  definitionsSchema,
  deviceSchema,
  overridesSchema,
  recordDefinitionsSchema,
  recordOverridesSchema,
} from "./device-schema.ts";
import { driverSchemas, listDrivers } from "./drivers.ts";
import { isRecord } from "./path.ts";
import { devicesFileSchema, devicesMax, siteSchema } from "./site-schema.ts";

type Json = Record<string, unknown>;

const referenceJson: Json = { type: "string", pattern: "\\$\\{(env|file|secret):[^{}]*\\}" };

function mapJson(node: unknown, change: (node: Json) => Json): unknown {
  if (Array.isArray(node)) return node.map((one) => mapJson(one, change));
  if (!isRecord(node)) return node;
  return change(
    Object.fromEntries(Object.entries(node).map(([key, value]) => [key, mapJson(value, change)])),
  );
}

/** Lets a reference stand where a number, true/false or a patterned text is wanted. */
function withReferences(schema: Json): Json {
  const properties = (node: Json) => {
    if (!isRecord(node["properties"])) return node;
    const changed = Object.entries(node["properties"]).map(([key, value]) => [
      key,
      isRecord(value) ? orReference(value) : value,
    ]);
    return { ...node, properties: Object.fromEntries(changed) };
  };
  return mapJson(schema, properties) as Json;
}

function orReference(node: Json): Json {
  const typed =
    ["number", "integer", "boolean"].includes(String(node["type"])) || node["pattern"] !== undefined;
  if (!typed || node["const"] !== undefined) return node;
  const { description, default: byDefault, ...rest } = node;
  return {
    ...(description === undefined ? {} : { description }),
    ...(byDefault === undefined ? {} : { default: byDefault }),
    anyOf: [rest, referenceJson],
  };
}

/** Settings of which the profile may hold any part: nothing is required, and several variants may fit. */
function partial(schema: Json): Json {
  return mapJson(schema, (node) => {
    const kept = Object.entries(node).filter(([key]) => key !== "required");
    return Object.fromEntries(kept.map(([key, value]) => [key === "oneOf" ? "anyOf" : key, value]));
  }) as Json;
}

function toJson(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    unrepresentable: "any",
  });
  return json;
}

function mergeProperties(schema: Json, more: Json): Json {
  return { ...schema, properties: { ...(schema["properties"] as Json), ...(more["properties"] as Json) } };
}

async function driverJson(name: string): Promise<{ device: Json; profile: Json }> {
  const { settings, address } = await driverSchemas(name);
  const settingsJson = partial(toJson(settings));
  const pointsJson = {
    properties: {
      points: withAddress(toJson(definitionsSchema), toJson(address)),
      records: recordsWithAddress(toJson(recordDefinitionsSchema), toJson(address)),
    },
  };
  const device = mergeProperties(toJson(deviceSchema([name])), settingsJson);
  const points = {
    properties: {
      points: { anyOf: [toJson(overridesSchema), pointsJson.properties.points] },
      records: { anyOf: [toJson(recordOverridesSchema), pointsJson.properties.records] },
    },
  };
  const profile = mergeProperties(toJson(profileSchema.extend({ driver: z.literal(name) })), pointsJson);
  return {
    device: withReferences(mergeProperties(device, points)),
    profile: mergeProperties(profile, { properties: { settings: settingsJson } }),
  };
}

function withAddress(items: Json, address: Json): Json {
  const item = items["additionalProperties"] as Json;
  return { ...items, additionalProperties: mergeProperties(item, { properties: { address } }) };
}

function recordsWithAddress(records: Json, address: Json): Json {
  const { additionalProperties, ...rest } = withAddress(records, address);
  const { fields } = (additionalProperties as Json)["properties"] as { fields: Json };
  const properties = { fields: withAddress(fields, address) };
  return { ...rest, additionalProperties: mergeProperties(additionalProperties as Json, { properties }) };
}

/** The JSON Schemas for editors of the site file, of files with devices and of profiles, and of the twin's documents. */
export async function jsonSchemas(): Promise<Record<"gateway" | "devices" | "profile" | "twin", Json>> {
  const drivers = await Promise.all(listDrivers().map(driverJson));
  const devices = {
    type: "array",
    maxItems: devicesMax,
    items: { oneOf: drivers.map(({ device }) => device) },
  };
  const headed = (title: string, schema: Json) => ({
    $schema: "http://json-schema.org/draft-07/schema#",
    title,
    ...schema,
  });
  const site = withReferences(toJson(siteSchema));
  return {
    gateway: headed("kerb site file", mergeProperties(site, { properties: { devices } })),
    devices: headed("kerb devices", mergeProperties(toJson(devicesFileSchema), { properties: { devices } })),
    twin: headed("kerb twin document", toJson(twinSchema)),
    profile: headed("kerb profile", { oneOf: drivers.map(({ profile }) => profile) }),
  };
}
