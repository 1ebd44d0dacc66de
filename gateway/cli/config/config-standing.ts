import type { Language } from "../../config/error-texts.ts";
import { printable } from "../../errors.ts";
import type { GatewayStatus } from "../../supervisor.ts";
import { whoIn } from "../ioc/audit-words.ts";
import { configWords, wallTime } from "./config-words.ts";
import { paint, span } from "../../text.ts";
import { reasonIn } from "../../generations/vietnamese.ts";
import { twinStatusLines } from "../ioc/twin-words.ts";

/** The line of `kerb status` about the configuration that runs; none where the gateway does not say. */
export function configLines(
  { configuration }: Pick<GatewayStatus, "configuration">,
  language: Language,
  nowMs: number,
): string[] {
  if (configuration === undefined) return [];
  const words = configWords[language];
  const { generation, at, by, how, of, filesDiffer, safeMode, pending, reverted, twin } = configuration;
  const origin = of === undefined ? words.hows[how] : `${words.hows[how]} ${of}`;
  const line = `${words.status}   ${words.generation} ${generation} (${origin}, ${printable(whoIn(language, by))}, ${span(nowMs - Date.parse(at))})`;
  const over = twin === undefined ? [] : twinStatusLines(twin, language);
  if (safeMode !== undefined) return [line, paint("red", words.safeMode(safeMode.count)), ...over];
  const more: string[] = [];
  if (pending !== undefined)
    more.push(pending.untilMs === undefined ? words.watched : words.until(wallTime(pending.untilMs)));
  else if (filesDiffer) more.push(words.filesDiffer);
  const back =
    reverted === undefined || !(filesDiffer || reverted.reason.includes("; a secret stays"))
      ? []
      : [
          paint(
            "yellow",
            words.reverted(reverted.generation, generation, printable(reasonIn(language, reverted.reason))),
          ),
        ];
  return [[line, ...more.map((text) => paint("yellow", text))].join("   "), ...back, ...over];
}
