import { chmodSync } from "node:fs";
import type { KeyObject } from "node:crypto";
import { resolve } from "node:path";
import type { CommandMode } from "../commands/command.ts";
import type { CommandState } from "../commands/state.ts";
import type { Language } from "../config/error-texts.ts";
import { exitCodes, printable } from "../errors.ts";
import { Commander, type Followed } from "../receiver/commands/commander.ts";
import { issuerKeyOf, newIssuerKey, publicKeyOf, type Wanted } from "../receiver/commands/make.ts";
import { assignmentsOf, valueOf } from "./assignments.ts";
import { commandWords, failureOf, shownValues } from "./command-words.ts";
import { usageError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { pad, span } from "./text.ts";
import { readGiven, writeGiven } from "./files.ts";

export interface CommandOptions {
  broker?: string;
  city?: string;
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
  protocol?: "5" | "3.1.1";
  ca?: string;
  cert?: string;
  tlsKey?: string;
  username?: string;
  password?: string;
  json?: boolean;
  lang?: Language;
}

const needed = ["broker", "city", "key", "issuer", "role"] as const;

function checked(
  options: CommandOptions,
  language: Language,
): CommandOptions & Record<(typeof needed)[number], string> {
  const text = commandWords[language];
  for (const name of needed) {
    if (options[name] !== undefined) continue;
    throw usageError(text.missing(name), text.missingCure, language);
  }
  const modes = [options.arm === true, options.commit !== undefined, options.abort !== undefined];
  if ([...modes, options.twoSteps === true].filter(Boolean).length > 1)
    throw usageError(text.oneMode, text.oneModeCure, language);
  if (!/^mqtts?:\/\/[^/]+/.test(options.broker ?? ""))
    throw usageError(text.noBroker(options.broker ?? ""), text.noBrokerCure, language);
  return options as CommandOptions & Record<(typeof needed)[number], string>;
}

function keyFrom(file: string, language: Language): KeyObject {
  const pem = readGiven(file, language);
  try {
    return issuerKeyOf(pem);
  } catch (error) {
    const text = commandWords[language];
    throw usageError(text.noKey(file, (error as Error).message), text.noKeyCure(file), language);
  }
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
  const { broker, city, key: file, issuer: by, role, ...rest } = checked(options, language);
  const assignments = assignmentsOf(given, language);
  const key = keyFrom(file, language);
  const { arm, commit, abort, leaseMs, reason, validMs: lifeMs } = rest;
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
  const { protocol = "5", username, password, ca, cert, tlsKey } = rest;
  const commander = new Commander({
    broker,
    city,
    protocol: protocol === "5" ? 5 : "3.1.1",
    username,
    password,
    ...(ca === undefined && cert === undefined ? {} : { tls: { ca, cert, key: tlsKey } }),
    log: hint,
  });
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
