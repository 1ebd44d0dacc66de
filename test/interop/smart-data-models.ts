import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv2020, type AnySchemaObject, type ValidateFunction } from "ajv/dist/2020.js";
import formatsPlugin from "ajv-formats";

/**
 * The Smart Data Models and kerb's own, wrapped so that an attribute that no model knows is a mistake
 * (`unevaluatedProperties: false`): as they stand, the schemas accept every misspelling.
 */

const folder = fileURLToPath(new URL("../../../shared/schemas/smart-data-models/", import.meta.url));
export const hasModels = existsSync(folder);
if (!hasModels) {
  const what = "no Smart Data Models at ../shared/schemas/smart-data-models";
  console.log(`skipped: ${what}: only kerb's own models are checked`);
}

const read = (path: string): AnySchemaObject => JSON.parse(readFileSync(path, "utf8")) as AnySchemaObject;
const ownModels = read(
  fileURLToPath(new URL("../../gateway/receiver/ngsi-ld/kerb-models.schema.json", import.meta.url)),
);

/**
 * What kerb gives of a WasteContainer, whose schema is not among the copies: names, ranges and words as upstream
 * (smart-data-models/dataModel.WasteManagement, WasteContainer 0.2.0) has them.
 */
const common = "https://smart-data-models.github.io/data-models/common-schema.json#/definitions";
const wasteContainer = {
  $id: "urn:kerb:test:WasteContainer",
  allOf: [
    { $ref: `${common}/GSMA-Commons` },
    { $ref: `${common}/Location-Commons` },
    {
      properties: {
        type: { enum: ["WasteContainer"] },
        fillingLevel: { type: "number", minimum: 0, maximum: 1 },
        temperature: { type: "number" },
        cargoWeight: { type: "number", minimum: 0 },
        dateLastEmptying: { type: "string", format: "date-time" },
        refDevice: { type: "array", items: { $ref: `${common}/EntityIdentifierType` }, minItems: 1 },
      },
    },
  ],
  required: ["id", "type", "location"],
};

/** The strict check of each type; without the copies only of kerb's own types. */
export function strictChecks(): Map<string, ValidateFunction> {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  // The plugin is CommonJS; its types say less of that than what Node loads.
  const addFormats =
    (formatsPlugin as unknown as { default?: (to: Ajv2020) => void }).default ?? formatsPlugin;
  (addFormats as unknown as (to: Ajv2020) => void)(ajv);
  const ids = new Map<string, string>();
  if (hasModels) {
    for (const file of globSync("**/*chema.json", { cwd: folder }).toSorted()) {
      const { $schema, ...schema } = read(join(folder, file));
      ajv.addSchema($schema === undefined || !$schema.includes("2020-12") ? schema : { $schema, ...schema });
      const [, type] = /\/([A-Za-z]+)\/schema\.json$/.exec(file) ?? [];
      if (type !== undefined) ids.set(type, String(schema["$id"]));
      // AirQualityObserved names it by another address than its own $id.
      if (file.endsWith("Environment-schema.json")) {
        const alias =
          "https://raw.githubusercontent.com/smart-data-models/dataModel.Environment/master/Environment-schema.json";
        ajv.addSchema({ ...schema, $id: alias });
      }
    }
    ajv.addSchema(wasteContainer);
    ids.set("WasteContainer", wasteContainer.$id);
  }
  ajv.addSchema(ownModels);
  for (const type of Object.keys(ownModels["$defs"] as object))
    ids.set(type, `${String(ownModels["$id"])}#/$defs/${type}`);
  return new Map(
    [...ids].map(([type, id]) => [type, ajv.compile({ $ref: id, unevaluatedProperties: false })]),
  );
}

/** What is wrong with an entity in key-values form; undefined = nothing, or its model is not at hand. */
export function problemOf(
  checks: ReadonlyMap<string, ValidateFunction>,
  entity: Record<string, unknown>,
): string | undefined {
  const { "@context": _context, ...plain } = entity;
  const check = checks.get(String(plain["type"]));
  if (check === undefined) return hasModels ? `there is no model ${String(plain["type"])}` : undefined;
  if (check(plain)) return undefined;
  const errors = check.errors?.map(
    ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
  return `${JSON.stringify(plain)}: ${errors?.join("; ")}`;
}
