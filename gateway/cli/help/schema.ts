import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { languageOf } from "../../words.ts";
import { meantBy } from "../complaint-words.ts";
import { completionWords } from "./completion-words.ts";
import { notFoundError } from "../errors.ts";
import { printData, printLines } from "../output.ts";
import { table } from "../../text.ts";

const folder = fileURLToPath(new URL("../../../config/output/", import.meta.url));
const ending = ".schema.json";

/**
 * `kerb schema [VERB]`: the published JSON Schema of one line that a verb prints with `--json`; without a verb, which
 * there are. Exit code 3 when there is none.
 */
export function schema(verb: readonly string[], options: { json?: boolean }): number {
  const text = completionWords[languageOf()];
  const names = readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length));
  if (verb.length === 0) {
    const verbs = names.map((name) => ({ verb: name, file: shownFile(folder + name + ending) }));
    if (options.json === true) printData("schemas", { verbs });
    else {
      const columns = [{ title: text.verb }, { title: text.file }];
      printLines(
        table(
          columns,
          verbs.map((one) => [one.verb, one.file]),
        ),
      );
    }
    return exitCodes.ok;
  }
  const name = verb.join("-");
  const file = `${folder}${name}${ending}`;
  if (!names.includes(name) || !existsSync(file))
    throw notFoundError(text.noSchema(printable(verb.join(" ")), meantBy(name, names)), text.schemas);
  const json = readFileSync(file, "utf8");
  if (options.json === true)
    printData("schema", { verb: name, file: shownFile(file), schema: JSON.parse(json) as unknown });
  else process.stdout.write(json);
  return exitCodes.ok;
}
