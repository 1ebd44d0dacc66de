import { basename, dirname, join, resolve } from "node:path";
import { checkIdentify, checkPersonal, checkScaleFactors, parsedRecord } from "../../config/devices.ts";
import { YamlDocument } from "../../config/document.ts";
import { driverSchemas, listDrivers } from "../../config/drivers.ts";
import type { Path } from "../../config/path.ts";
import { didYouMean } from "../../config/words.ts";
import { ConfigError } from "../../errors.ts";
import { rangesOverlap, gapBetween } from "../firmware-spans.ts";
import { loadModels, modelDepartures, modelStates, type Models } from "../models.ts";
import { withParts } from "../profile-parts.ts";
import { listProfiles, loadProfile, type Point, profileFolder } from "../profiles.ts";
import { readYaml } from "../../config/yaml.ts";
import { checkEvidence } from "./evidence.ts";
import { bothOf, type Finding, Lint } from "./findings.ts";
import { checkPlaces, type Placed, sayUnreachable } from "./places.ts";
import { checkTold } from "./told.ts";
import { checkLabel, checkValue } from "./values.ts";

/** Everything that is wrong with profiles, though they load: `kerb profile lint`. */

/** The profile's settings in the driver's words. What only a site can say, such as a host, is not missing here. */
function checkSettings(lint: Lint): void {
  const { document, schemas, profile } = lint;
  for (const key of schemas.siteOnly ?? [])
    if (Object.hasOwn(profile.settings, key))
      lint.say(
        "settings",
        ["settings", key],
        `a profile must not say "${key}": write it into the site file, at the device`,
        `hồ sơ không được ghi "${key}": hãy ghi vào tệp cấu hình, tại thiết bị`,
        { at: "key" },
      );
  const elsewhere = new YamlDocument("{}", document.file, { references: false });
  lint.during("settings", () =>
    document.check(schemas.settings, profile.settings, {
      origin: (inner) => {
        const path = ["settings", ...inner];
        const isWritten = inner.length > 0 && document.depthOf(path) === path.length;
        return { document: isWritten ? document : elsewhere, path };
      },
    }),
  );
}

/** A template as the profile's own settings have it; where these list no part that it could be of, of one that is. */
function partsOf(template: Point, settings: Record<string, unknown>): Point[] {
  const { each } = template;
  const own = withParts([template], settings);
  if (own.length > 0 || each === undefined) return own;
  return withParts([template], { [each.setting]: [{ id: `${each.as}1` }] });
}

/** Points as a device of the profile's own settings has them, each with its address parsed. */
function placedPoints(lint: Lint): Placed[] {
  const { document, schemas, profile } = lint;
  return profile.templates.flatMap((template) => {
    const path: Path = ["points", template.name];
    if (template.address === undefined) return [];
    return partsOf(template, profile.settings).map((point) => {
      const address = lint.during("address", () => {
        const parsed = document.check(schemas.address, point.address, { path: [...path, "address"] });
        checkPersonal(document, path, schemas, { address: parsed });
        return parsed;
      });
      const facts = lint.facts(address);
      return { path, name: point.name, address, facts, when: point.when ?? "*", point };
    });
  });
}

function placedIdentity(lint: Lint): Placed[] {
  const { document, schemas, profile } = lint;
  const parsed = lint.during("address", () => checkIdentify(schemas, { profile, document }));
  const placed = (path: Path, address: unknown, marker?: unknown): Placed[] =>
    address === undefined
      ? []
      : [{ path, name: path.join("."), address, facts: lint.facts(address), when: "*", marker }];
  const keys = ["vendor", "model", "firmware", "serial"] as const;
  return [
    ...keys.flatMap((key) => placed(["identify", key], parsed[key])),
    ...parsed.expect.flatMap(({ address, equals }, index) =>
      placed(["identify", "expect", index], address, equals),
    ),
  ];
}

function checkPoints(lint: Lint, placed: readonly Placed[], models: Models): void {
  // Of the parts of one template any will do.
  const facts = new Map(placed.map(({ path: [, name], facts: one }) => [name, one]));
  for (const template of lint.profile.templates) {
    const { name, label, typical, fixed, values, publish, each, derive } = template;
    const part = each === undefined ? name : `${name}.${each.as}1`;
    const path = ["points", name];
    checkLabel(lint, path, label);
    checkValue(lint, path, template, facts.get(name) ?? {}, modelStates(models, lint.profile.class, part));
    // What is derived shows what its inputs make.
    if (publish && derive === undefined && (typical ?? fixed ?? values) === undefined)
      lint.say(
        "pretend",
        path,
        `a simulator has nothing to show for "${name}": write typical, fixed or values`,
        `bộ mô phỏng không có gì để thể hiện cho "${name}": hãy ghi typical, fixed hoặc values`,
        { at: "key" },
      );
  }
}

function checkRecords(lint: Lint, models: Models): void {
  const { document, schemas, profile } = lint;
  for (const record of profile.records) {
    const path = ["records", record.name];
    const { fields } = lint.during("address", () => parsedRecord(document, path, schemas, record));
    if (record.label !== undefined) checkLabel(lint, path, record.label);
    for (const field of fields) {
      const at = [...path, "fields", field.name];
      if (field.label !== undefined) checkLabel(lint, at, field.label);
      const states = modelStates(models, profile.class, field.name, record.name);
      const facts = lint.facts(field.address);
      checkValue(lint, at, field, facts, states);
      sayUnreachable(lint, at, field.name, facts);
    }
  }
}

/** What loading a file says, as findings. */
function unloaded(error: ConfigError): Finding[] {
  return error.diagnostics.map((one) => ({ ...one, rule: "file", sentence: bothOf(one.message) }));
}

/** One profile file with what is wrong in it; `lint` is undefined where it does not even load. */
export interface Linted {
  file: string;
  lint: Lint | undefined;
  findings: Finding[];
}

async function opened(file: string): Promise<Linted> {
  const vendor = dirname(resolve(file));
  try {
    const id = `${basename(vendor)}/${basename(file, ".yaml")}`;
    const profile = loadProfile(id, dirname(vendor));
    const document = readYaml(profile.file, { references: false });
    const drivers = listDrivers();
    if (drivers.includes(profile.driver)) {
      const lint = new Lint(profile, document, await driverSchemas(profile.driver));
      return { file, lint, findings: lint.findings };
    }
    document.mistake(
      ["driver"],
      "KERB-CFG-VALUE",
      `there is no driver "${profile.driver}"${didYouMean(profile.driver, drivers)}`,
    );
    return { file, lint: undefined, findings: unloaded(new ConfigError(document.mistakes)) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file, lint: undefined, findings: unloaded(error) };
  }
}

function checkProfile(lint: Lint, models: Models): void {
  checkSettings(lint);
  const placed = placedPoints(lint);
  const names = placed.flatMap(({ point }) => point ?? []);
  lint.during("factor", () => checkScaleFactors(names, lint.document, ["points"]));
  checkPoints(lint, placed, models);
  checkPlaces(lint, [...placed, ...placedIdentity(lint)]);
  checkRecords(lint, models);
  checkTold(lint);
  checkEvidence(lint);
  for (const { path, at, en, vi } of modelDepartures(lint.profile, models))
    lint.say("model", path, en, vi, at === "key" ? { at } : {});
}

/** Where the firmware range is written; where it is not, the model. */
const rangePlace = ({ document }: Lint): Path => [
  document.depthOf(["firmware"]) === 1 ? "firmware" : "model",
];

/** Profiles of one vendor, model and driver: their firmware ranges follow each other. */
function checkSiblings(lints: readonly Lint[]): void {
  const models = Map.groupBy(lints, ({ profile: { vendor, model, driver } }) =>
    [vendor, model, driver].join("\n").toLowerCase(),
  );
  for (const siblings of models.values()) {
    for (const [index, one] of siblings.entries()) {
      const { firmware } = one.profile;
      const other = siblings
        .slice(0, index)
        .find(({ profile }) => rangesOverlap(profile.firmware, firmware))?.profile;
      if (other !== undefined)
        one.say(
          "firmware",
          rangePlace(one),
          `the profile ${other.id} is for the same model, and its firmware ${other.firmware} overlaps with ${firmware}`,
          `hồ sơ ${other.id} dành cho cùng một model, và firmware ${other.firmware} của nó chồng lên ${firmware}`,
        );
    }
    const gap = gapBetween(siblings.map(({ profile }) => profile.firmware));
    if (gap !== undefined)
      siblings
        .at(-1)
        ?.say(
          "firmware",
          ["firmware"],
          `no profile of this model is for the firmware ${gap}: the ranges of ${siblings.map(({ profile }) => profile.id).join(", ")} leave a gap`,
          `không hồ sơ nào của model này dành cho firmware ${gap}: các khoảng của ${siblings.map(({ profile }) => profile.id).join(", ")} để hở`,
        );
  }
}

function inFileOrder(findings: readonly Finding[]): Finding[] {
  // A template is checked once for each of its parts.
  const unique = new Map(findings.map((one) => [`${one.line}:${one.column}\n${one.message}`, one]));
  return [...unique.values()].toSorted((a, b) => a.line - b.line || a.column - b.column);
}

/**
 * Everything that is wrong with profile files (`<folder>/<vendor>/<model>.yaml`), each finding with its place, and
 * how they stand to each other. Throws nothing for what a file says.
 */
export async function lintProfiles(
  files: readonly string[],
  models: Models = loadModels(),
): Promise<Linted[]> {
  const linted = await Promise.all(files.map(opened));
  for (const { lint } of linted) if (lint !== undefined) checkProfile(lint, models);
  checkSiblings(linted.flatMap(({ lint }) => lint ?? []));
  return linted.map((one) => ({ ...one, findings: inFileOrder(one.findings) }));
}

/** The files of the profiles that ship with kerb. */
export function libraryFiles(): string[] {
  return listProfiles().map((id) => join(profileFolder, `${id}.yaml`));
}
