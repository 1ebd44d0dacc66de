import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { outputSchemas, schemaFile } from "../gateway/cli/output-schemas.ts";
import { jsonSchemas } from "../gateway/config/json-schema.ts";
import { loadModels, type Models } from "../gateway/profiles/models.ts";
import { driverStage, readProof } from "../gateway/profiles/driver-stage.ts";
import { unverifiedLines } from "../gateway/profiles/lint/evidence.ts";
import { listProfiles, loadProfile, type Profile } from "../gateway/profiles/profiles.ts";

/** The files and parts of files that follow from code and data: `npm run generate` writes them, a test compares. */

const root = new URL("../", import.meta.url);
const pathOf = (file: string): string => fileURLToPath(new URL(file, root));

function row(...cells: string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(...head), row(...head.map(() => "---")), ...rows.map((cells) => row(...cells))].join("\n");
}

const code = (text: string): string => `\`${text}\``;
const codes = (names: readonly string[], between: string): string => names.map(code).join(between);

/**
 * As the contract suite has left it. Whether the code is still the same is the proof's test to say: else this table
 * would be stale after every change of a driver.
 */
function stageOf(driver: string): string {
  const { passed = 0, planned = 0 } = readProof(driver) ?? {};
  if (planned === 0 || passed < planned) return "unproven";
  return driverStage(driver).captured > 0 ? "field-proven" : "simulated";
}

/** How well a profile is founded: "community, 3 to verify". */
function evidenceOf(profile: Profile): string {
  const unverified = unverifiedLines(profile);
  return unverified === 0 ? profile.status : `${profile.status}, ${unverified} to verify`;
}

/** One line for each profile: who makes it, for which firmware, how well it is founded. */
function profileTable(): string {
  const lines = listProfiles().map((id) => {
    const profile = loadProfile(id);
    const { vendor, model, class: kind, driver, firmware } = profile;
    const stage = `${driver}: ${stageOf(driver)}`;
    return [code(id), `${vendor} ${model}`, kind, firmware, evidenceOf(profile), stage];
  });
  return table(["profile", "device", "class", "firmware", "evidence", "driver and its stage"], lines);
}

/** The same for the front page: a line for each model. */
function shortProfileTable(): string {
  const lines = listProfiles().map((id) => {
    const profile = loadProfile(id);
    const device = `[${profile.vendor} ${profile.model}](firmware-profiles/${id}.yaml)`;
    return [device, profile.firmware, evidenceOf(profile), stageOf(profile.driver)];
  });
  return table(["model", "firmware", "evidence", "stage"], lines);
}

type Class = Models["classes"][string];

/** Values of a model as rows: name, unit or words, both languages, attribute of its Smart Data Model. */
function valueRows(values: Class["points"], inside = ""): string[][] {
  return Object.entries(values).map(([name, { unit, kind, states, en, vi, attribute }]) => {
    const what = states === undefined ? (kind === "number" ? unit : kind) : codes(states, " ");
    const attributes = attribute === undefined ? [] : [attribute].flat();
    return [inside + code(name), what, en, vi, codes(attributes, " ")];
  });
}

function recordRows(records: Class["records"]): string[][] {
  return Object.entries(records).flatMap(([name, { kind, category = "", severity = "", en, vi, fields }]) => [
    [code(name), [kind, category, severity].filter((text) => text !== "").join(", "), en, vi],
    ...valueRows(fields, "· ").map((cells) => cells.slice(0, 4)),
  ]);
}

const valueHead = ["point", "unit or states", "what it is", "Vietnamese", "attribute"];
const recordHead = ["record", "kind; unit or states of a field", "what it is", "Vietnamese"];

function classSection([name, { en, vi, entity, note, requires, points, records }]: [string, Class]): string {
  const required = requires.map((names) => codes(names, " or ")).join("; ");
  const projection =
    entity === undefined ? "No Smart Data Model: kerb's own." : `Smart Data Model: ${code(entity)}.`;
  const parts = [`## ${name}`, `${en} · ${vi}. ${projection} Required: ${required}.`, note?.trim()];
  if (Object.keys(points).length > 0) parts.push(table(valueHead, valueRows(points)));
  if (Object.keys(records).length > 0) parts.push(table(recordHead, recordRows(records)));
  return parts.filter((part) => part !== undefined).join("\n\n");
}

/** The models of all classes as tables. */
function modelTables(): string {
  const { common, classes } = loadModels();
  const fields = valueRows(common.alarmFields).map((cells) => cells.slice(0, 4));
  return [
    "## Every class",
    table(valueHead, valueRows(common.points)),
    "Fields that any alarm may have:",
    table(["field", ...valueHead.slice(1, 4)], fields),
    ...Object.entries(classes).map(classSection),
  ].join("\n\n");
}

/** Replaces what stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`. */
function withPart(file: string, name: string, text: string): string {
  const before = readFileSync(pathOf(file), "utf8");
  const [from, to] = [`<!-- generated: ${name} -->`, `<!-- end of ${name} -->`];
  const [start, end] = [before.indexOf(from), before.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`${file} has no part between "${from}" and "${to}"`);
  return `${before.slice(0, start + from.length)}\n\n${text}\n\n${before.slice(end)}`;
}

/** What each generated file should hold, by its path from the top folder. */
export async function generated(): Promise<Record<string, string>> {
  const schemas = Object.entries(await jsonSchemas()).map(([name, schema]) => [
    `config/${name}.schema.json`,
    `${JSON.stringify(schema, undefined, 2)}\n`,
  ]);
  const profiles = "firmware-profiles/README.md";
  const models = "firmware-profiles/MODELS.md";
  const front = "README.md";
  const outputs = Object.entries(await outputSchemas()).map(([verb, schema]) => [
    schemaFile(verb),
    `${JSON.stringify(schema, undefined, 2)}\n`,
  ]);
  return {
    ...Object.fromEntries(schemas),
    ...Object.fromEntries(outputs),
    [profiles]: withPart(profiles, "profiles", profileTable()),
    [models]: withPart(models, "models", modelTables()),
    [front]: withPart(front, "profiles", shortProfileTable()),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(await generated())) writeFileSync(pathOf(file), text);
}
