import type { Language } from "../../config/error-texts.ts";
import { jsonSchemas } from "../../config/json-schema.ts";
import { siteSchema } from "../../config/site-schema.ts";
import { valueAt } from "../../config/path.ts";
import { ConfigError, exitCodes, shownFile } from "../../errors.ts";
import { readYaml } from "../../config/yaml.ts";
import { configWords } from "./config-words.ts";
import { languageOf } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { findSite } from "../site.ts";

/** `kerb config migrate`: there is one version; a file that says another one is wrong (78). */
export async function migrate(
  file: string | undefined,
  options: { json?: boolean; lang?: Language },
): Promise<number> {
  const site = findSite(file);
  const document = readYaml(site, { references: false });
  document.check(siteSchema.pick({ version: true }).loose(), {
    version: valueAt(document.value, ["version"]),
  });
  if (document.mistakes.length > 0) throw new ConfigError(document.mistakes);
  if (options.json === true) printData("config-migrate", { site, version: 1, changed: false });
  else printLines([configWords[languageOf(options.lang)].noMigration(shownFile(site))]);
  return exitCodes.ok;
}

/** `kerb config schema`: plain, as a file that an editor takes; with --json in the envelope of all verbs. */
export async function schema(options: { json?: boolean; devices?: boolean }): Promise<number> {
  const { gateway, devices } = await jsonSchemas();
  const chosen = options.devices === true ? devices : gateway;
  if (options.json === true) printData("config-schema", chosen);
  else process.stdout.write(`${JSON.stringify(chosen, undefined, 2)}\n`);
  return exitCodes.ok;
}
