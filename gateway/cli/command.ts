import { chmodSync, readFileSync, writeFileSync } from "node:fs";
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
import { CommandError, usageError } from "./errors.ts";
import { languageOf } from "./language.ts";
import { hint, printData, printLines, stopSignal } from "./output.ts";
import { pad, span } from "./text.ts";

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
  const vi = language === "vi";
  for (const name of needed) {
    if (options[name] !== undefined) continue;
    throw usageError(
      vi ? `thiếu --${name}` : `--${name} is missing`,
      vi ? "kerb command --help cho biết cách viết" : "kerb command --help shows how it is written",
      language,
    );
  }
  const modes = [options.arm === true, options.commit !== undefined, options.abort !== undefined];
  if ([...modes, options.twoSteps === true].filter(Boolean).length > 1)
    throw usageError(
      vi
        ? "--arm, --commit, --abort và --two-steps loại trừ nhau"
        : "--arm, --commit, --abort and --two-steps exclude each other",
      vi ? "chọn một" : "choose one of them",
      language,
    );
  if (!/^mqtts?:\/\/[^/]+/.test(options.broker ?? ""))
    throw usageError(
      vi ? `"${options.broker ?? ""}" không phải địa chỉ broker` : `"${options.broker ?? ""}" is no broker`,
      vi ? "viết như mqtts://host:8883" : "write it as mqtts://host:8883",
      language,
    );
  return options as CommandOptions & Record<(typeof needed)[number], string>;
}

function keyFrom(file: string, language: Language): KeyObject {
  try {
    return issuerKeyOf(readFileSync(file));
  } catch (error) {
    const vi = language === "vi";
    throw usageError(
      vi
        ? `không dùng được khóa ${file}: ${(error as Error).message}`
        : `${file} is no key to sign with: ${(error as Error).message}`,
      vi ? `tạo khóa: kerb command keygen ${file}` : `make one: kerb command keygen ${file}`,
      language,
    );
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
  try {
    // A key that is there already may be the one that gateways know.
    writeFileSync(file, pem, { mode: 0o600, flag: "wx" });
    chmodSync(file, 0o600);
  } catch (error) {
    const vi = languageOf(options.lang) === "vi";
    throw new CommandError({
      code: "KERB-CLI-FAILED",
      exitCode: exitCodes.unexpected,
      title: vi
        ? `không ghi được khóa ${file}: ${(error as Error).message}`
        : `the key cannot be written: ${(error as Error).message}`,
      hint: vi
        ? "đặt tên một tệp mới trong thư mục mà bạn được ghi"
        : "name a new file in a folder that you may write to",
    });
  }
  const written = publicKeyOf(issuerKeyOf(readFileSync(file)));
  if (written !== publicKey) throw new Error(`${file} was changed while it was written`);
  if (options.json === true) printData("command-key", { file, publicKey });
  else {
    printLines([publicKey]);
    hint(`commands: { issuers: [{ id: ioc, key: "${publicKey}", roles: [...] }] }   (${file})`);
  }
  return exitCodes.ok;
}
