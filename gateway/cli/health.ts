import { loadSite } from "../config/config.ts";
import type { Language } from "../config/error-texts.ts";
import { causeOfLost } from "../diagnosis/problems.ts";
import { describeError, exitCodes, shownFile } from "../errors.ts";
import { type HealthCheck, healthChecks, worstState } from "../health/health.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { healthWords } from "./health-words.ts";
import { dictionary, languageOf } from "./language.ts";
import { printData, printLines } from "./output.ts";
import { askOnce, controlSocket, findSite, notRunning, SilentError, silentFor } from "./site.ts";
import { displayWidth, marks, pad, paint } from "../text.ts";
import { whyWords } from "./why/why-words.ts";

/** A check for machines: its sentences in one language. */
function plain({ check, object, state, seen, code, behind }: HealthCheck, language: Language) {
  const { title, likely, do: remedy } = code === undefined ? {} : describeError(code, language);
  return { check, object, state, code, title, seen: seen[language], likely, do: remedy, behind };
}

/** The checks as lines for people: what is wrong, what was seen, likely cause and cure. */
export function healthLines(checks: readonly HealthCheck[], language: Language): string[] {
  const words = dictionary[language];
  const name = ({ check, object }: HealthCheck) =>
    object === undefined ? healthWords[language][check] : `${healthWords[language][check]} ${object}`;
  const width = Math.max(...checks.map((check) => displayWidth(name(check))));
  const { behind: behindWord } = whyWords[language];
  const isFolded = checks.some(({ behind }) => behind !== undefined);
  const labels = Math.max(
    ...[words.seen, words.likely, words.remedy, ...(isFolded ? [behindWord] : [])].map(displayWidth),
  );
  return checks.flatMap((check) => {
    const { state, seen, code, behind = [] } = check;
    const [mark, colour] = marks[state];
    const head = (text: string) => `${paint(colour, mark)} ${pad(name(check), width)}  ${text}`;
    if (code === undefined) return [head(seen[language])];
    const { title, likely, do: remedy } = describeError(code, language);
    const details = [
      [words.seen, seen[language]],
      [words.likely, likely],
      [words.remedy, remedy],
      ...(behind.length === 0 ? [] : [[behindWord, behind.join(", ")] as const]),
    ] as const;
    return [
      head(`${title}   (${code})`),
      ...details.map(([label, text]) => `${" ".repeat(width + 4)}${pad(label, labels)}  ${text}`),
    ];
  });
}

/** The checks; a device that is lost by the cause that `kerb problems` and `kerb why` name, where a rule fits. */
async function withCauses(status: GatewayStatus, site: string): Promise<HealthCheck[]> {
  const nowMs = Date.now();
  const checks = healthChecks(status, nowMs);
  if (checks.every(({ check }) => check !== "device")) return checks;
  // A site file that is broken by now still has a gateway that runs.
  const configured = await loadSite(site).then(
    ({ devices }) => devices,
    () => [],
  );
  const seen = { status, readings: {}, nowMs, configured };
  return Promise.all(
    checks.map(async (check) => {
      const cause = await causeOfLost(check, seen);
      return cause === undefined ? check : { ...check, code: cause.code };
    }),
  );
}

async function findChecks(site: string, language: Language): Promise<HealthCheck[]> {
  try {
    const status = await askOnce<GatewayStatus>(controlSocket(site), { verb: "status" });
    return await withCauses(status, site);
  } catch (error) {
    if (!(error instanceof SilentError)) return notRunning(error, site, language);
    return [{ check: "loop", state: "bad", seen: silentFor, code: "KERB-GW-SILENT", stops: "alive" }];
  }
}

/** `kerb health`: one line a check; exit code 0 when all is well, 6 with findings, 4 when no gateway runs. */
export async function health(options: { site?: string; json?: boolean; lang?: Language }): Promise<number> {
  const site = findSite(options.site);
  const language = languageOf(options.lang);
  const checks = await findChecks(site, language);
  const state = worstState(checks);
  if (options.json === true) {
    const list = checks.map((check) => plain(check, language));
    printData("health", { site: shownFile(site), state, checks: list });
  } else printLines(healthLines(checks, language));
  return state === "ok" ? exitCodes.ok : exitCodes.findings;
}
