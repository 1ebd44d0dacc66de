import type { Attribute, Entity } from "./entity.ts";
import { unitCode } from "./units.ts";

/** The core context of ETSI GS CIM 009; it always comes last. */
const coreContext = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld";

/** Where kerb's own terms are defined, below the address of the receiver. */
export const kerbContextPath = "/ngsi-ld/v1/jsonldContexts/kerb";

/** The contexts of an entity, the last the strongest. `base`: address of the receiver. */
export function contextOf({ subject }: Pick<Entity, "subject">, base: string): string[] {
  const repository = "https://raw.githubusercontent.com/smart-data-models";
  const model = subject === undefined ? [] : [`${repository}/dataModel.${subject}/master/context.jsonld`];
  return [`${base}${kerbContextPath}`, ...model, coreContext];
}

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
