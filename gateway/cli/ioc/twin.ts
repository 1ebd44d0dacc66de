import { readFileSync } from "node:fs";
import type { Language } from "../../config/error-texts.ts";
import { asRead } from "../../config/file-text.ts";
import { ConfigError, type ErrorCode, errorTable, exitCodes, printable } from "../../errors.ts";
import { makeTwin } from "../../receiver/twin/make.ts";
import { type FollowedTwin, type TwinAtBroker, TwinSender } from "../../receiver/twin/sender.ts";
import type { TwinDocument } from "../../twin/document.ts";
import type { Have } from "../../twin/have.ts";
import { wantedSchema } from "../../twin/schema.ts";
import type { TwinStanding } from "../../twin/standing.ts";
import { readYaml } from "../../config/yaml.ts";
import { CommandError, notFoundError, tableError, usageError } from "../errors.ts";
import { type BrokerOptions, keyFrom, linkOptions, needed } from "./issuer.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { span } from "../../text.ts";
import { changeLines, twinWords } from "./twin-words.ts";

export interface TwinOptions extends BrokerOptions {
  gateway?: string;
  /** PEM file of the issuer's private key. */
  key?: string;
  /** The issuer, or somebody@issuer. */
  issuer?: string;
  ver?: number;
  waitMs?: number;
  site?: string;
  json?: boolean;
  lang?: Language;
}

/** What a file (YAML or JSON) or "-" (stdin) wants, as it is written. Throws `ConfigError` with every mistake. */
function wantedOf(file: string): Record<string, unknown> {
  const read = file === "-" ? { read: () => asRead(readFileSync(0, "utf8")) } : {};
  const document = readYaml(file, { references: false, ...read });
  document.check(wantedSchema, document.value);
  if (document.mistakes.length > 0) throw new ConfigError(document.mistakes);
  return document.value as Record<string, unknown>;
}

function documentOf(file: string, options: TwinOptions): TwinDocument {
  const language = languageOf(options.lang);
  const names = ["gateway", "issuer", "key"] as const;
  const { gateway, issuer: by, key: keyFile } = needed(options, names, "twin set", language);
  const key = keyFrom(keyFile, language);
  const cfg = wantedOf(file);
  try {
    return makeTwin({ gateway, by, cfg, ...(options.ver === undefined ? {} : { ver: options.ver }) }, key);
  } catch (error) {
    const text = twinWords[language];
    throw usageError(text.tooMuch((error as Error).message), text.tooMuchCure, language);
  }
}

/** How a document ended that is not applied; undefined: it is. */
function failureOf(
  gateway: string,
  { state, last }: FollowedTwin,
  language: Language,
): CommandError | undefined {
  const text = twinWords[language];
  if (state === "applied") return undefined;
  if (state === "unanswered" || state === "staged") {
    const isOpen = state === "staged";
    return new CommandError({
      code: "KERB-CLI-FAILED",
      exitCode: isOpen ? exitCodes.unsure : exitCodes.timedOut,
      title: isOpen ? text.open(gateway) : text.unanswered(gateway),
      hint: isOpen ? text.openHint : text.unansweredHint,
      language,
    });
  }
  const { code = "", path = "", text: reason = "" } = last?.errors[0] ?? {};
  const exitCode = state === "rejected" ? exitCodes.notAllowed : exitCodes.notDone;
  const seen = path === "" ? reason : `${path}: ${reason}`;
  if (Object.hasOwn(errorTable, code))
    return tableError(gateway, code as ErrorCode, seen, language, exitCode);
  const title = printable(`${gateway}: ${text.states[state]}: ${seen}`);
  return new CommandError({ code: "KERB-CLI-FAILED", exitCode, title, language });
}

/**
 * `kerb twin set`: signs what is wanted of a gateway, publishes it and follows it. Exit codes: 7 rejected, 8 nothing
 * heard, 9 taken back, 10 still being tried.
 */
export async function twinSet(file: string, options: TwinOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = twinWords[language];
  const isJson = options.json === true;
  const document = documentOf(file, options);
  const { gw: gateway, ver, hash } = document;
  const sender = new TwinSender(linkOptions(options, "twin set", language));
  const startedMs = performance.now();
  const heard = (have: Have) => {
    if (isJson) printData("twin-have", have);
    else printLines([` ${words.states[have.state]}  ${span(performance.now() - startedMs)}`]);
  };
  let followed: FollowedTwin;
  try {
    sender.open();
    const { waitMs } = options;
    const following = { heard, signal: stopSignal() };
    followed = await sender.send(document, waitMs === undefined ? following : { ...following, waitMs });
  } finally {
    await sender.close();
  }
  const failure = failureOf(gateway, followed, language);
  if (failure !== undefined) throw failure;
  if (isJson) printData("twin-set", { gateway, ver, hash, state: followed.state });
  else hint(words.version(ver, document.by));
  return exitCodes.ok;
}

function errorLines({ errors }: Pick<Have, "errors">): string[] {
  return errors.map(({ code, path, text }) =>
    printable(`  ${code}  ${path === "" ? text : `${path}: ${text}`}`),
  );
}

function boxLines(twin: TwinStanding | undefined, language: Language): string[] {
  const words = twinWords[language];
  if (twin === undefined) return [words.nothingYet, `${words.allowed}  ${words.off}`];
  const { ver, by = "", state, at, runs, running, allow } = twin;
  const age = span(Date.now() - at);
  return [
    ver === 0 && by === ""
      ? `${words.wanted}  ${words.nothingYet}`
      : printable(`${words.wanted}  ${words.version(ver, by)}: ${words.states[state]} (${age})`),
    ...errorLines(twin),
    printable(
      `${words.runs}  ${runs === undefined ? words.filesAlone : words.version(running.ver, runs.by)}`,
    ),
    ...(runs === undefined ? [] : changeLines(runs.changes, language)),
    `${words.allowed}  ${allow?.join(", ") ?? words.off}`,
  ];
}

function brokerLines(gateway: string, { want, have }: TwinAtBroker, language: Language): string[] {
  const words = twinWords[language];
  return [
    printable(`${gateway}  ${words.broker}`),
    ...(want === undefined
      ? []
      : [`${words.wanted}  ${words.version(want.ver, want.by)}`, `  ${JSON.stringify(want.cfg)}`]),
    ...(have === undefined
      ? []
      : [
          `${words.version(have.ver, "")}: ${words.states[have.state]} (${span(Date.now() - have.at)})`,
          ...errorLines(have),
          `${words.runs}  ${have.running.ver === 0 ? words.filesAlone : words.version(have.running.ver, "")}`,
        ]),
  ].map(printable);
}

/** `kerb twin show`: on the box what is wanted, what runs and what it changes; with `--broker` what stands there. */
export async function twinShow(options: TwinOptions): Promise<number> {
  const language = languageOf(options.lang);
  if (options.broker !== undefined) return showBroker(options, language);
  const site = findSite(options.site);
  const asked = askOnce<{ twin?: TwinStanding }>(controlSocket(site), { verb: "config-standing" });
  const { twin } = await asked.catch((error: unknown) => notRunning(error, site, language));
  if (options.json === true) printData("twin-show", { site, ...(twin === undefined ? {} : { twin }) });
  else printLines(boxLines(twin, language));
  return exitCodes.ok;
}

async function showBroker(options: TwinOptions, language: Language): Promise<number> {
  const { gateway } = needed(options, ["gateway"], "twin show", language);
  const sender = new TwinSender(linkOptions(options, "twin show", language));
  let found: TwinAtBroker;
  try {
    sender.open();
    found = await sender.look(gateway, options.waitMs, stopSignal());
  } finally {
    await sender.close();
  }
  const words = twinWords[language];
  if (found.want === undefined && found.have === undefined)
    throw notFoundError(words.notStanding(gateway), words.notStandingHint, language);
  const { want, have } = found;
  if (options.json === true)
    printData("twin-at-broker", {
      gateway,
      ...(want === undefined ? {} : { want }),
      ...(have === undefined ? {} : { have }),
    });
  else printLines(brokerLines(gateway, found, language));
  return exitCodes.ok;
}
