import type { Attribute, Entity } from "./entity.ts";
import { unitCode } from "./units.ts";

/** Simplified (key-values) representation, without context. Source: ETSI GS CIM 009, 4.5.4. */
export function keyValues({ id, type, attributes }: Entity): Record<string, unknown> {
  return { id, type, ...Object.fromEntries(attributes.map(({ name, value }) => [name, value])) };
}

/** Normalised representation, without context. Source: ETSI GS CIM 009, 4.5.1 to 4.5.3. */
export function normalised({ id, type, attributes }: Entity): Record<string, unknown> {
  return { id, type, ...Object.fromEntries(attributes.map((one) => [one.name, expanded(one)])) };
}

function expanded({ kind, value, unit, timeMs, unsynced, doubt }: Attribute): Record<string, unknown> {
  if (kind === "geo") return { type: "GeoProperty", value };
  if (kind === "relationship") return { type: "Relationship", object: value };
  const code = unit === undefined || typeof value !== "number" ? undefined : unitCode(unit);
  return {
    type: "Property",
    value,
    ...(code === undefined ? {} : { unitCode: code }),
    ...(timeMs === undefined ? {} : { observedAt: new Date(timeMs).toISOString() }),
    ...(doubt === undefined
      ? {}
      : { quality: { type: "Property", value: "uncertain" }, reason: { type: "Property", value: doubt } }),
    ...(unsynced === true ? { clock: { type: "Property", value: "unsynced" } } : {}),
  };
}
