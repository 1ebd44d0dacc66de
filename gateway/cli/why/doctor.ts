import { statfs } from "node:fs/promises";
import { loadSite, type Site } from "../../config/config.ts";
import { clockState } from "../../clock.ts";
import type { Language } from "../../config/error-texts.ts";
import { NotRunningError } from "../../control/control.ts";
import { plain } from "../../diagnosis/facts.ts";
import type { Problem } from "../../diagnosis/problems.ts";
import { ConfigError, describeError, exitCodes, renderDiagnostic, shownFile } from "../../errors.ts";
import { healthChecks } from "../../health/health.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { names, type Row } from "./doctor-row.ts";
import { uplinkRow } from "./doctor-uplink.ts";
import { dictionary, languageOf } from "../language.ts";
import { printData, printLines } from "../output.ts";
import { askProblems, plainProblem, problemLines } from "./problems.ts";
import { findSite } from "../site.ts";
import { displayWidth, marks, mebibytes, pad, paint } from "../../text.ts";
import { labelled } from "./ladder-lines.ts";
import { whyWords } from "./why-words.ts";

const diskFreeMin = 256 * 1024 ** 2;

/** The site file: its mistakes, or its warnings, or nothing. */
async function configRows(file: string): Promise<{ site?: Site; rows: Row[] }> {
  try {
    const site = await loadSite(file);
    const fine = {
      en: whyWords.en.configFine(site.devices.length),
      vi: whyWords.vi.configFine(site.devices.length),
    };
    const warnings = site.warnings.map((one): Row => {
      const text = renderDiagnostic(one).split("\n")[0] ?? "";
      return {
        state: "warn",
        check: "config",
        seen: plain(text),
        ...(one.code === undefined ? {} : { code: one.code }),
      };
    });
    return { site, rows: warnings.length === 0 ? [{ state: "ok", check: "config", seen: fine }] : warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const rows = error.diagnostics.map((one): Row => ({
      state: "bad",
      check: "config",
      seen: plain(renderDiagnostic(one).split("\n")[0] ?? ""),
      ...(one.code === undefined ? {} : { code: one.code }),
    }));
    return { rows };
  }
}

/** Disk and clock, as far as they can be seen without a gateway. */
async function boxRows(site: Site | undefined): Promise<Row[]> {
  const clock = clockState();
  const clockRow: Row =
    clock === "synced"
      ? {
          state: "ok",
          check: "clock",
          seen: { en: "set by the time service", vi: "được dịch vụ thời gian chỉnh" },
        }
      : {
          state: "warn",
          check: "clock",
          seen: { en: "no time service vouches for it", vi: "không có dịch vụ thời gian xác nhận" },
          code: "KERB-CLOCK-UNPROVED",
        };
  if (site === undefined) return [clockRow];
  const disk = await statfs(site.gateway.stateFolder).catch(() => undefined);
  if (disk === undefined) return [clockRow];
  const freeBytes = disk.bavail * disk.bsize;
  const seen = { en: `${mebibytes(freeBytes)} left`, vi: `còn ${mebibytes(freeBytes)}` };
  const isFull = freeBytes < diskFreeMin;
  return [
    clockRow,
    { check: "disk", state: isFull ? "warn" : "ok", seen, ...(isFull ? { code: "KERB-OUT-SPACE" } : {}) },
  ];
}

/** The findings of health that are well; what is not is a problem, and said there. */
function goodRows(status: GatewayStatus): Row[] {
  return healthChecks(status, Date.now())
    .filter(({ state }) => state === "ok")
    .map(({ check, object, seen }) => ({
      check,
      ...(object === undefined ? {} : { object }),
      state: "ok",
      seen,
    }));
}

function rowLines(rows: readonly Row[], language: Language): string[] {
  const name = ({ check, object }: Row) => [names[language][check], ...(object ? [object] : [])].join(" ");
  const width = Math.max(...rows.map((row) => displayWidth(name(row))));
  const { remedy } = dictionary[language];
  return rows.flatMap((row) => {
    const { state, seen, code } = row;
    const [mark, colour] = marks[state];
    const tail = code === undefined ? "" : `   (${code})`;
    const line = `${paint(colour, mark)} ${pad(name(row), width)}  ${seen[language]}${tail}`;
    if (code === undefined) return [line];
    return [line, ...labelled(remedy, describeError(code, language).do, 2, displayWidth(remedy) + 1)];
  });
}

/** What runs, or what can be seen without it. */
async function examine(
  file: string,
  site: Site | undefined,
): Promise<{ rows: Row[]; problems: Problem[]; status?: GatewayStatus }> {
  try {
    const { problems, status } = await askProblems(file);
    return status === undefined ? { rows: [], problems } : { rows: goodRows(status), problems, status };
  } catch (error) {
    if (!(error instanceof NotRunningError)) throw error;
    const seen = { en: whyWords.en.notRunning, vi: whyWords.vi.notRunning };
    return {
      rows: [
        { check: "gateway", state: "warn", seen, code: "KERB-CLI-NOT-RUNNING" },
        ...(await boxRows(site)),
      ],
      problems: [],
    };
  }
}

/** `kerb doctor`: box, site file, links and devices in one table; exit code 0 all well, 6 with findings. */
export async function doctor(options: { site?: string; json?: boolean; lang?: Language }): Promise<number> {
  const file = findSite(options.site);
  const language = languageOf(options.lang);
  const { site, rows: config } = await configRows(file);
  const { rows: running, problems, status } = await examine(file, site);
  const uplinks = await Promise.all(
    site?.uplinks.map(async (uplink) => {
      const isConnected =
        status?.uplinks.some(({ id, state }) => id === uplink.id && state === "connected") === true;
      const row = await uplinkRow(uplink, { site, language, isConnected });
      // The gateway has said it already.
      return isConnected && row.state === "ok" ? [] : [row];
    }) ?? [],
  );
  const rows = [...config, ...running, ...uplinks.flat()];
  const count = rows.filter(({ state }) => state !== "ok").length + problems.length;
  if (options.json === true)
    printData("doctor", {
      site: shownFile(file),
      findings: count,
      checks: rows.map(({ seen, ...row }) => ({ ...row, seen: seen[language] })),
      problems: problems.map((problem) => plainProblem(problem, language)),
    });
  else
    printLines([
      ...rowLines(rows, language),
      ...problems.flatMap((problem) => problemLines(problem, language)),
      ...(count === 0 ? [] : ["", whyWords[language].findings(count)]),
    ]);
  return count === 0 ? exitCodes.ok : exitCodes.findings;
}
