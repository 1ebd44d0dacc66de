import { existsSync } from "node:fs";
import { loadSite, type Site } from "../../config/config.ts";
import type { Overlay } from "../../config/process.ts";
import {
  ConfigError,
  describeError,
  exitCodes,
  printable,
  renderDiagnostic,
  shownFile,
} from "../../errors.ts";
import { twinFile } from "../../twin/kept.ts";
import { languageOf } from "../../words.ts";
import { checkWords } from "./check-words.ts";
import { configCure, cureLines } from "./config-cure.ts";
import { findSite } from "../site.ts";
import { isColour, paint } from "../../text.ts";
import { changeLines, twinWords } from "../ioc/twin-words.ts";

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
  return `${JSON.stringify({ api: "kerb/v1", kind: "config-check", ok, ...rest })}\n`;
}

/** What the twin lays over the files, as far as the state folder is at hand and may be read. */
async function overlayOf({ file, gateway }: Site): Promise<Overlay | undefined> {
  if (!existsSync(twinFile(gateway.stateFolder))) return undefined;
  const { load } = await import("../../config/load.ts");
  return (await load({ file })).loaded?.overlay;
}

function overlayLines({ document: { ver, by }, changes = [], mistakes = [] }: Overlay): string[] {
  const words = twinWords[languageOf()];
  const [first] = mistakes;
  if (first !== undefined) return [paint("yellow", printable(words.misfit(ver, by, first.text)))];
  return [words.over(ver, by), ...changeLines(changes, languageOf())];
}

function printSite(site: Site, overlay: Overlay | undefined, json: boolean): void {
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
      ...(overlay === undefined
        ? {}
        : {
            twin: {
              ver: overlay.document.ver,
              by: overlay.document.by,
              ...(overlay.changes === undefined ? {} : { changes: overlay.changes }),
              ...(overlay.mistakes === undefined ? {} : { mistakes: overlay.mistakes }),
            },
          }),
    };
    process.stdout.write(envelope(true, { data }));
    return;
  }
  const colour = isColour(process.stdout);
  const over = overlay === undefined ? [] : overlayLines(overlay);
  const lines = [
    ...fileLines(site),
    ...over,
    ...warnings.map((warning) => renderDiagnostic(warning, { colour })),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function printMistakes(error: ConfigError, json: boolean): void {
  if (json) {
    const code = error.diagnostics[0]?.code ?? "KERB-CFG-VALUE";
    const { title, do: remedy } = describeError(code, languageOf());
    const hint = configCure(error) ?? remedy;
    const { diagnostics, count } = error;
    process.stdout.write(envelope(false, { error: { code, title, hint, count, diagnostics } }));
    return;
  }
  const text = error.render({ colour: isColour(process.stderr) });
  const lines = [text, ...cureLines(error), checkWords[languageOf()].mistakes(error.count)];
  process.stderr.write(`${lines.join("\n")}\n`);
}

/**
 * `kerb config check`: reads a site with all its files, prints a line per file and the warnings, or every mistake with
 * its place (stderr). Returns the exit code: 0, or 78 when the configuration is wrong.
 */
export async function check(given: string | undefined, options: { json?: boolean } = {}): Promise<number> {
  const file = given ?? findSite(undefined);
  const json = options.json === true;
  try {
    const site = await loadSite(file);
    printSite(site, await overlayOf(site), json);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    printMistakes(error, json);
    return error.exitCode;
  }
}
