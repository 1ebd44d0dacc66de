import type { Site, UplinkConfig } from "../../config/config.ts";
import type { Language } from "../../config/error-texts.ts";
import type { Row } from "./doctor-row.ts";
import { climbUpstream, type UpstreamStep } from "./upstream-ladder.ts";
import { upstreamWords } from "./upstream-words.ts";

const told = ["tls", "login"];

/**
 * The way to one IOC up to a login, under an id of its own, so that the session of the gateway stays whose it is.
 * `isConnected`: the gateway says that it is; then what a login shows is of the next one.
 */
export async function uplinkRow(
  config: UplinkConfig,
  { site, language, isConnected }: { site: Site; language: Language; isConnected: boolean },
): Promise<Row> {
  const { steps } = await climbUpstream(config, { site, language });
  const words = upstreamWords[language];
  const row = (state: Row["state"], text: string, code?: Row["code"]): Row => ({
    check: "uplink",
    object: config.id,
    state,
    seen: { en: text, vi: text },
    ...(code === undefined ? {} : { code }),
  });
  const named = ({ step, text, seen }: UpstreamStep) =>
    [words.steps[step], text, ...(seen === undefined ? [] : [seen])].join(": ");
  const failed = steps.find(({ state }) => state === "bad");
  if (failed !== undefined && isConnected && failed.step === "login") {
    // A broker that knows its clients by their ids lets nobody else in: that says nothing of the gateway.
    if (failed.code === "KERB-UP-CLIENT-ID") return row("ok", named(failed));
    return row("warn", words.bound(failed.seen ?? failed.text), failed.code);
  }
  if (failed !== undefined) return row("bad", named(failed), failed.code);
  const isDown = !isConnected && steps.some(({ text }) => text === words.receiver.offline);
  const isShort =
    config.url.startsWith("mqtts") && steps.some(({ step, state }) => step === "tls" && state === "warn");
  const shown = steps.filter(({ step }) => told.includes(step) || (isDown && step === "receiver"));
  return row(
    isDown || isShort ? "warn" : "ok",
    shown.map(named).join("; "),
    isDown ? "KERB-UP-NO-CUSTODY" : undefined,
  );
}
