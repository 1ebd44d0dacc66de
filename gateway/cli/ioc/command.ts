import { chmodSync } from "node:fs";
import { resolve } from "node:path";
import type { CommandMode } from "../../commands/command.ts";
import type { CommandState } from "../../commands/state.ts";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable } from "../../errors.ts";
import { Commander, type Followed } from "../../receiver/commands/commander.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf, type Wanted } from "../../receiver/commands/make.ts";
import { assignmentsOf, valueOf } from "./assignments.ts";
import { commandWords, failureOf, shownValues } from "./command-words.ts";
import { usageError } from "../errors.ts";
import { type BrokerOptions, keyFrom, linkOptions, needed } from "./issuer.ts";
import { languageOf } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { pad, span } from "../../text.ts";
import { readGiven, writeGiven } from "../files.ts";

export interface CommandOptions extends BrokerOptions {
  /** PEM file of the issuer's private key. */
  key?: string;
  /** The issuer, or somebody@issuer. */
  issuer?: string;
  role?: string;
  leaseMs?: number;
  reason?: string;
  validMs?: number;
  arm?: boolean;
  commit?: string;
  abort?: string;
  twoSteps?: boolean;
  json?: boolean;
  lang?: Language;
}

function checkMode({ arm, commit, abort, twoSteps }: CommandOptions, language: Language): void {
  const text = commandWords[language];
  const modes = [arm === true, commit !== undefined, abort !== undefined, twoSteps === true];
  if (modes.filter(Boolean).length > 1) throw usageError(text.oneMode, text.oneModeCure, language);
}

/** Each state on a line of its own, with the time since the command was sent. */
function printer(options: CommandOptions, language: Language): (state: CommandState) => void {
  const words = commandWords[language];
  const startedMs = performance.now();
  const width = Math.max(...Object.values(words.stage).map((word) => word.length));
  return (state) => {
    if (options.json === true) return printData("command-state", state);
    const { state: stage, code, before, readBack, leaseMs, arm, armMs = 0 } = state;
    const parts = [
      ` ${pad(words.stage[stage], width)}  ${Math.round(performance.now() - startedMs)} ms`,
      ...(before === undefined ? [] : [`${words.before} ${shownValues(before)}`]),
      ...(readBack === undefined ? [] : [`${words.readBack} ${shownValues(readBack)}`]),
      ...(leaseMs === undefined ? [] : [`${words.returnsAfter} ${span(leaseMs)}`]),
      ...(arm === undefined ? [] : [`${words.token} ${printable(arm)} (${words.validFor} ${span(armMs)})`]),
      ...(code === undefined ? [] : [printable(code)]),
    ];
    return printLines([parts.join("   ")]);
  };
}

/**
 * `kerb command`: signs a command, sends it and follows it to its final state. Exit codes: 7 rejected, 8 no answer, 9
 * surely not executed, 10 nobody knows yet.
 */
export async function command(
  gateway: string,
  device: string,
  given: readonly string[],
  options: CommandOptions,
): Promise<number> {
  const language = languageOf(options.lang);
  const words = commandWords[language];
  const names = ["broker", "city", "key", "issuer", "role"] as const;
  const { key: file, issuer: by, role } = needed(options, names, "command", language);
  checkMode(options, language);
  const link = linkOptions(options, "command", language);
  const assignments = assignmentsOf(given, language);
  const key = keyFrom(file, language);
  const { arm, commit, abort, leaseMs, reason, validMs: lifeMs } = options;
  const mode: CommandMode =
    arm === true ? "arm" : commit !== undefined ? "commit" : abort !== undefined ? "abort" : "execute";
  const token = commit ?? abort;
  const wanted: Wanted = {
    gateway,
    device,
    args: Object.fromEntries(assignments.map(({ point, text }) => [point, valueOf(text)])),
    by,
    role,
    mode,
    ...(token === undefined ? {} : { arm: token }),
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(reason === undefined ? {} : { reason }),
    ...(lifeMs === undefined ? {} : { lifeMs }),
  };
  const commander = new Commander(link);
  const place = `${gateway} ${device}`;
  let followed: Followed;
  try {
    commander.open();
    const following = { heard: printer(options, language), signal: stopSignal() };
    followed = await (options.twoSteps === true
      ? commander.armAndCommit(wanted, key, following)
      : commander.execute(wanted, key, following));
  } finally {
    await commander.close();
  }
  const { state, last, sent } = followed;
  const failure = failureOf(place, last, state, language);
  if (failure !== undefined) throw failure;
  if (options.json === true) printData("command", { gateway, device, state, sent, last });
  else
    hint(
      `${words.command} ${last?.id ?? ""}${sent > 1 ? `   ${words.sentAgain} ${sent} ${words.times}` : ""}`,
    );
  return exitCodes.ok;
}

/** `kerb command keygen`: a new Ed25519 key of an issuer, for this user alone; prints what the site file needs. */
export function keygen(given: string, options: { json?: boolean; lang?: Language }): number {
  const file = resolve(given);
  const { pem, publicKey } = newIssuerKey();
  const language = languageOf(options.lang);
  // A key that is there already may be the one that gateways know.
  writeGiven(file, pem, { mode: 0o600, flag: "wx" }, language);
  chmodSync(file, 0o600);
  const written = publicKeyOf(issuerKeyOf(readGiven(file, language)));
  if (written !== publicKey) throw new Error(`${file} was changed while it was written`);
  if (options.json === true) printData("command-key", { file, publicKey });
  else {
    printLines([publicKey]);
    hint(`commands: { issuers: [{ id: ioc, key: "${publicKey}", roles: [...] }] }   (${file})`);
  }
  return exitCodes.ok;
}
