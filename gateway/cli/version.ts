import Database from "better-sqlite3";
import { exitCodes } from "../errors.ts";
import { printData, printLines } from "./output.ts";
import { kerbVersion } from "./verbs.ts";

/** What a report of a mistake needs to say. */
export function versions() {
  const database = new Database(":memory:");
  const { sqlite } = database.prepare("SELECT sqlite_version() AS sqlite").get() as { sqlite: string };
  database.close();
  return {
    kerb: kerbVersion(),
    node: process.versions.node,
    sqlite,
    platform: `${process.platform}-${process.arch}`,
  };
}

/** `kerb version`. */
export async function version(options: { json?: boolean }): Promise<number> {
  const data = versions();
  if (options.json === true) printData("version", data);
  else printLines(Object.entries(data).map(([name, text]) => `${name.padEnd(10)}${text}`));
  return exitCodes.ok;
}
