import { readFileSync } from "node:fs";
import { modelsByClass } from "./models.ts";

/** JSON-LD contexts: whose terms the attributes of an entity are. */

/** The core context of ETSI GS CIM 009; it always comes last. */
const coreContext = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.6.jsonld";

/** Where the receiver gives kerb's own terms, and all terms of all models together. */
const contextsPath = "/ngsi-ld/v1/jsonldContexts";

const modelContext = (subject: string): string =>
  `https://raw.githubusercontent.com/smart-data-models/dataModel.${subject}/master/context.jsonld`;

/** The contexts of an entity, the last the strongest. `base`: address of the receiver. */
export function contextOf({ subject }: { subject?: string }, base: string): string[] {
  return [
    `${base}${contextsPath}/kerb`,
    ...(subject === undefined ? [] : [modelContext(subject)]),
    coreContext,
  ];
}

/** The address of `allContexts`, for answers without contexts of their own. */
export function sharedContext(base: string): string {
  return `${base}${contextsPath}/all`;
}

/** One context for entities of many models; where two of them share a word, the later model has it. */
export function allContexts(base: string): string[] {
  const subjects = Object.values(modelsByClass).flatMap((models) =>
    models.flatMap(({ subject }) => subject ?? []),
  );
  const distinct = [...new Set([...subjects, "Alert"])].toSorted();
  return [`${base}${contextsPath}/kerb`, ...distinct.map(modelContext), coreContext];
}

interface OwnModels {
  $defs: Record<string, { properties: Record<string, { description?: string }> }>;
}

/** Words of the core context, and of all models. */
const shared = ["id", "type", "name", "description", "location", "address"];
let terms: Record<string, unknown> | undefined;

/** kerb's own words: its models, their attributes, and what marks a value. */
export function ownTerms(): Record<string, unknown> {
  if (terms !== undefined) return terms;
  const file = new URL("kerb-models.schema.json", import.meta.url);
  const { $defs } = JSON.parse(readFileSync(file, "utf8")) as OwnModels;
  const found: Record<string, unknown> = { kerb: "urn:kerb:model:" };
  for (const word of ["quality", "reason", "clock", ...Object.keys($defs)]) found[word] = `kerb:${word}`;
  for (const { properties } of Object.values($defs)) {
    for (const [word, { description = "" }] of Object.entries(properties)) {
      if (shared.includes(word)) continue;
      const isReference = description.startsWith("Relationship");
      found[word] = isReference ? { "@id": `kerb:${word}`, "@type": "@id" } : `kerb:${word}`;
    }
  }
  terms = found;
  return found;
}

/** Types beside those of the models, with whose context they are. */
const otherTypes = { Device: "Device", DeviceMeasurement: "Device", Alert: "Alert" };
const defaultVocabulary = "https://uri.etsi.org/ngsi-ld/default-context/";
let typesByIri: Map<string, string> | undefined;

/**
 * The type that an IRI stands for in the contexts of this view; any other text as it is. Not every version of a
 * model's context has its type, which is then of the core context's vocabulary.
 */
export function shortType(type: string): string {
  if (!type.includes(":")) return type;
  typesByIri ??= new Map(
    [
      ...Object.values(modelsByClass).flatMap((models) =>
        models.flatMap((one) => (one.subject === undefined ? [] : [[one.type, one.subject] as const])),
      ),
      ...Object.entries(otherTypes),
    ].flatMap(([one, subject]) => [
      [`https://smartdatamodels.org/dataModel.${subject}/${one}`, one] as const,
      [`${defaultVocabulary}${one}`, one] as const,
    ]),
  );
  const own = /^(?:kerb|urn:kerb:model):(\w+)$/.exec(type)?.[1];
  if (own !== undefined && Object.hasOwn(ownTerms(), own)) return own;
  return typesByIri.get(type) ?? type;
}
