import { existsSync } from "node:fs";
import { listDrivers } from "../config/drivers.ts";
import { exitCodes } from "../errors.ts";
import { listProfiles, loadProfile } from "../profiles.ts";
import { printData, printLines } from "./output.ts";
import { table } from "./text.ts";

const simulatorFolder = new URL("../../simulators/", import.meta.url);

/** `kerb drivers`: the protocols, how many models of each have a profile, and whether it can be simulated. */
export async function drivers(options: { json?: boolean }): Promise<number> {
  const profiles = listProfiles().map((id) => loadProfile(id));
  const list = listDrivers().map((name) => ({
    name,
    profiles: profiles.filter(({ driver }) => driver === name).map(({ id }) => id),
    simulator: existsSync(new URL(`${name}/index.ts`, simulatorFolder)),
  }));
  if (options.json === true) {
    printData("drivers", list);
    return exitCodes.ok;
  }
  const columns = [{ title: "DRIVER" }, { title: "SIMULATOR" }, { title: "PROFILES" }];
  const rows = list.map(({ name, profiles: ids, simulator }) => [
    name,
    simulator ? "yes" : "no",
    ids.join(", ") || "-",
  ]);
  printLines(table(columns, rows));
  return exitCodes.ok;
}
