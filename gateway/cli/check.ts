import { loadSite, type Site } from "../config.ts";
import { ConfigError, describeError, exitCodes, renderDiagnostic, shownFile } from "../errors.ts";
import { languageOf } from "../words.ts";
import { checkWords } from "./check-words.ts";
import { isColour } from "./text.ts";

function fileLines({ files, devices, uplinks }: Site): string[] {
  const text = checkWords[languageOf()];
  const width = Math.max(...files.map((file) => shownFile(file).length));
  const drivers = new Set(devices.map(({ driver }) => driver)).size;
  return files.map((file, index) => {
    const own = devices.filter(({ place }) => place.file === file).length;
    const what = index === 0 ? text.whole(devices.length, drivers, uplinks.length) : text.devices(own);
    return `${shownFile(file).padEnd(width)}  ${text.ok}  ${what}`;
  });
}

function envelope(ok: boolean, rest: Record<string, unknown>): string {
  return `${JSON.stringify({ api: "kerb/v1", kind: "check", ok, ...rest })}\n`;
}

function printSite(site: Site, json: boolean): void {
  const { files, devices, uplinks, warnings, gateway } = site;
  if (json) {
    // Settings and uplinks hold resolved secrets: only counts and names leave.
    const list = devices.map(({ id, driver, profile, enabled, place }) => ({
      id,
      driver,
      profile,
      enabled,
      place,
    }));
    const data = {
      gateway: gateway.id,
      files,
      devices: list,
      uplinks: uplinks.map(({ id }) => id),
      warnings,
    };
    process.stdout.write(envelope(true, { data }));
    return;
  }
  const colour = isColour(process.stdout);
  const lines = [...fileLines(site), ...warnings.map((warning) => renderDiagnostic(warning, { colour }))];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function printMistakes(error: ConfigError, json: boolean): void {
  if (json) {
    const code = error.diagnostics[0]?.code ?? "KERB-CFG-VALUE";
    const { title, do: hint } = describeError(code, languageOf());
    const { diagnostics, count } = error;
    process.stdout.write(envelope(false, { error: { code, title, hint, count, diagnostics } }));
    return;
  }
  const text = error.render({ colour: isColour(process.stderr) });
  process.stderr.write(`${text}\n${checkWords[languageOf()].mistakes(error.count)}\n`);
}

/**
 * `kerb check`: reads a site with all its files, prints a line per file and the warnings, or every mistake with
 * its place (stderr). Returns the exit code: 0, or 78 when the configuration is wrong.
 */
export async function check(file: string, options: { json?: boolean } = {}): Promise<number> {
  const json = options.json === true;
  try {
    printSite(await loadSite(file), json);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printMistakes(error, json);
    return error.exitCode;
  }
}
