import Database from "better-sqlite3";
import { exitCodes } from "../errors.ts";
import { printData, printLines } from "./output.ts";
import { kerbVersion } from "./verbs.ts";

/** `kerb version`: what a report of a mistake needs to say. */
export async function version(options: { json?: boolean }): Promise<number> {
  const database = new Database(":memory:");
  const { sqlite } = database.prepare("SELECT sqlite_version() AS sqlite").get() as { sqlite: string };
  database.close();
  const data = {
    kerb: kerbVersion(),
    node: process.versions.node,
    sqlite,
    platform: `${process.platform}-${process.arch}`,
  };
  if (options.json === true) printData("version", data);
  else printLines(Object.entries(data).map(([name, text]) => `${name.padEnd(10)}${text}`));
  return exitCodes.ok;
}
