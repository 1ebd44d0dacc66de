import { existsSync } from "node:fs";
import { listDrivers } from "../config/drivers.ts";
import type { Language } from "../config/error-texts.ts";
import { type DriverStage, driverStage } from "../profiles/driver-stage.ts";
import { exitCodes } from "../errors.ts";
import { listProfiles, loadProfile } from "../profiles/profiles.ts";
import { dictionary, languageOf, type Words } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { table } from "../text.ts";

const simulatorFolder = new URL("../../simulators/", import.meta.url);

/** "simulated (117 checks)", "unproven (changed since 2026-11-22)". */
function shownStage({ stage, doubt, proof, captured }: DriverStage, words: Words): string {
  if (stage === "planned") return words.stagePlanned;
  if (doubt === "changed") return `${words.stageUnproven} (${words.changedSince} ${proof?.proved ?? "?"})`;
  if (doubt === "no-proof") return `${words.stageUnproven} (${words.neverProved})`;
  const { passed = 0, planned = 0 } = proof ?? {};
  if (doubt === "incomplete") return `${words.stageUnproven} (${passed}/${planned} ${words.checks})`;
  if (stage === "field-proven")
    return `${words.stageFieldProven} (${planned} ${words.checks}, ${captured} ${words.capturedFrames})`;
  return `${words.stageSimulated} (${planned} ${words.checks})`;
}

/** `kerb drivers`: the protocols, how far each is proven (computed), and the models that have a profile. */
export async function drivers(options: { json?: boolean; lang?: Language }): Promise<number> {
  const profiles = listProfiles().map((id) => loadProfile(id));
  const list = listDrivers().map((name) => ({
    name,
    ...driverStage(name),
    profiles: profiles.filter(({ driver }) => driver === name).map(({ id }) => id),
    simulator: existsSync(new URL(`${name}/index.ts`, simulatorFolder)),
  }));
  if (options.json === true) {
    printData("drivers", list);
    return exitCodes.ok;
  }
  const words = dictionary[languageOf(options.lang)];
  const columns = ["DRIVER", words.stageColumn, words.simulatorColumn, words.profilesColumn];
  const rows = list.map(({ profiles: ids, simulator, ...driver }) => [
    driver.name,
    shownStage(driver, words),
    simulator ? words.yes : words.no,
    ids.join(", ") || "-",
  ]);
  printLines(
    table(
      columns.map((title) => ({ title })),
      rows,
    ),
  );
  return exitCodes.ok;
}
