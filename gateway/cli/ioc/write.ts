import type { CommandValue } from "../../commands/command.ts";
import type { LocalRequest, OrderedPoint, OrderPreview } from "../../commands/local.ts";
import { type CommandState, isFinal } from "../../commands/state.ts";
import { ask } from "../../control/control.ts";
import type { Language } from "../../config/error-texts.ts";
import { exitCodes, printable, shownFile } from "../../errors.ts";
import { agreed } from "../agreed.ts";
import { type Assignment, assignmentsOf, valueFor, valueOf } from "./assignments.ts";
import { commandWords, failureOf, shownValues } from "./command-words.ts";
import { CommandError, tableError, usageError } from "../errors.ts";
import { dictionary, languageOf, type Words } from "../language.ts";
import { hint, printData, printLines, stopSignal } from "../output.ts";
import { askOnce, controlSocket, findSite, notRunning } from "../site.ts";
import { forDevice, pad, shownValue, span } from "../../text.ts";
import { user } from "../user.ts";

export interface WriteOptions {
  site?: string;
  leaseMs?: number;
  reason?: string;
  yes?: boolean;
  arm?: boolean;
  commit?: string;
  json?: boolean;
  lang?: Language;
}

/** Beyond the lease, or the time of one write: then nothing more is waited for. */
const patienceMs = 30_000;

type CommandText = (typeof commandWords)[Language];

function shown(value: CommandValue, { unit, decimals }: OrderedPoint): string {
  return shownValue(value, unit, decimals);
}

function limitsOf(point: OrderedPoint, words: CommandText): string {
  const { words: named, only, kind, least, most, step } = point;
  if (named !== undefined) return named.map(printable).join("|");
  if (only !== undefined) return only.map((value) => shown(value, point)).join("|");
  if (kind === "boolean") return "on|off";
  const from = least === undefined ? "" : shown(least, point);
  const to = most === undefined ? "" : shown(most, point);
  const steps = step === undefined ? "" : `, ${words.step} ${step}`;
  return from === "" && to === "" ? `${words.none}${steps}` : `${from} … ${to}${steps}`;
}

function interlockOf({ interlock }: OrderedPoint, words: CommandText): string {
  if (interlock.length === 0) return words.none;
  return interlock
    .map(({ point, equals, now, holds }) => {
      const seen = holds ? "✓" : `✗ (${now === null ? words.unread : printable(String(now))})`;
      return `${point} == ${printable(String(equals))} ${seen}`;
    })
    .join(", ");
}

function beforeOf(point: OrderedPoint, words: CommandText, common: Words): string {
  const { before } = point;
  if (before === undefined || before.value === null) return words.unread;
  const age = span(Date.now() - before.timeMs);
  return `${shownValue(before.value, before.unit, before.decimals)} (${common[before.status]}, ${age})`;
}

function previewLines({ device, points }: OrderPreview, options: WriteOptions, language: Language): string[] {
  const words = commandWords[language];
  const titles = [words.now, words.limits, words.interlock];
  const width = Math.max(...titles.map((title) => title.length)) + 2;
  return points.flatMap((point) => {
    const leaseMs = options.leaseMs ?? (point.alwaysLeased ? point.leaseMsMax : undefined);
    const later = point.automatic ?? point.before?.value ?? null;
    const back = later === null ? words.unread : shown(later, point);
    return [
      `${printable(device)} ${printable(point.point)} → ${shown(point.value, point)}`,
      `  ${pad(words.now, width)}${beforeOf(point, words, dictionary[language])}`,
      `  ${pad(words.limits, width)}${limitsOf(point, words)}`,
      `  ${pad(words.interlock, width)}${interlockOf(point, words)}`,
      ...(point.needsArm ? [`  ${words.twoSteps}`] : []),
      ...(leaseMs === undefined || point.value === point.automatic
        ? []
        : [`  ${words.returnsLine(back, span(leaseMs))}`]),
    ];
  });
}

/** Prints the states of one order as they come; gives back the last of the command itself. */
async function carryOut(
  socket: string,
  request: LocalRequest,
  options: WriteOptions,
  language: Language,
): Promise<CommandState | undefined> {
  const words = commandWords[language];
  const stop = stopSignal();
  const startedMs = performance.now();
  const limit = AbortSignal.timeout((request.leaseMs ?? 0) + patienceMs * 2);
  let last: CommandState | undefined;
  for await (const one of ask(
    socket,
    { verb: "write", args: { ...request } },
    AbortSignal.any([stop, limit]),
  )) {
    const state = one as CommandState;
    const isReturn = state.returns !== undefined;
    if (!isReturn) last = state;
    if (options.json === true) {
      printData("command-state", state);
      continue;
    }
    const { before, readBack, leaseMs } = state;
    const parts = [
      ` ${isReturn && state.state === "done" ? words.returned : words.stage[state.state]} ${span(performance.now() - startedMs)}`,
      ...(before === undefined ? [] : [`${words.before} ${shownValues(before)}`]),
      ...(readBack === undefined ? [] : [`${words.readBack} ${shownValues(readBack)}`]),
      ...(leaseMs === undefined || isReturn ? [] : [`${words.returnsAfter} ${span(leaseMs)}`]),
    ];
    printLines([parts.join("   ")]);
  }
  return last;
}

/** What was typed, as values of the points that the gateway knows. */
function valuesOf(assignments: readonly Assignment[], preview?: OrderPreview): Record<string, CommandValue> {
  return Object.fromEntries(
    assignments.map(({ point, text }) => {
      const known = preview?.points.find((one) => one.point === point);
      if (known?.kind === undefined) return [point, valueOf(text)];
      return [point, valueFor(text, { kind: known.kind, words: known.words })];
    }),
  );
}

async function previewOf(
  socket: string,
  device: string,
  assignments: readonly Assignment[],
  language: Language,
): Promise<OrderPreview> {
  const request = (args: Record<string, CommandValue>) => ({
    verb: "write-preview",
    args: { device, args, by: user() },
  });
  const first = await askOnce<OrderPreview>(socket, request(valuesOf(assignments)));
  const values = valuesOf(assignments, first);
  const points = first.points.map((point) => ({ ...point, value: values[point.point] ?? point.value }));
  const problem = points.find((point) => point.problem !== undefined)?.problem;
  if (problem !== undefined)
    throw tableError(device, problem.code, problem.reason, language, exitCodes.notAllowed);
  return { ...first, points };
}

/**
 * `kerb write`: writes points of a device through the running gateway, after it has shown what stands there and was told
 * to go on. Exit codes: 4 no gateway, 7 rejected, 9 surely not written, 10 nobody knows yet.
 */
export async function write(id: string, given: readonly string[], options: WriteOptions): Promise<number> {
  const language = languageOf(options.lang);
  const words = commandWords[language];
  const assignments = assignmentsOf(given, language);
  const site = findSite(options.site);
  const socket = controlSocket(site);
  try {
    const preview = await previewOf(socket, id, assignments, language);
    if (options.json === true) printData("write-preview", preview);
    else hint(previewLines(preview, options, language).join("\n"));
    const { leaseMs, reason, arm, commit } = options;
    const isTwoPerson = preview.points.some(({ twoPerson }) => twoPerson);
    if (isTwoPerson && arm !== true && commit === undefined)
      throw usageError(words.twoPerson, words.twoPersonHint, language);
    if (!(await agreed(options, words.notWritten, language))) {
      hint(`${words.notWritten}: ${words.saidNo}`);
      return exitCodes.interrupted;
    }
    const request: LocalRequest = {
      device: id,
      args: valuesOf(assignments, preview),
      by: user(),
      ...(leaseMs === undefined ? {} : { leaseMs }),
      ...(reason === undefined ? {} : { reason }),
    };
    const last = await inSteps(socket, request, preview, options, language);
    const stage = last === undefined ? "unanswered" : isFinal(last) ? last.state : "unknown";
    const failure = failureOf(id, last, stage, language);
    if (failure !== undefined) throw failure;
    if (options.json === true) printData("write", last);
    else if (last?.arm !== undefined)
      printLines([words.armed(last.arm, Math.round((last.armMs ?? 0) / 1000))]);
    else hint(words.recorded(last?.id ?? "", user()));
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (error instanceof Error && error.message.startsWith("nothing may be written"))
      throw new CommandError({
        code: "KERB-CLI-USAGE",
        exitCode: exitCodes.notAllowed,
        title: words.nothingOpen(shownFile(site)),
        hint: forDevice(words.nothingOpenCure, id),
        language,
      });
    return notRunning(error, site, language);
  }
}

async function inSteps(
  socket: string,
  request: LocalRequest,
  preview: OrderPreview,
  { arm, commit, ...options }: WriteOptions,
  language: Language,
): Promise<CommandState | undefined> {
  const run = (more: Partial<LocalRequest>) => carryOut(socket, { ...request, ...more }, options, language);
  if (commit !== undefined) return run({ mode: "commit", arm: commit });
  if (arm !== true && !preview.points.some(({ needsArm }) => needsArm)) return run({});
  const armed = await run({ mode: "arm" });
  if (arm === true || armed?.arm === undefined) return armed;
  return run({ mode: "commit", arm: armed.arm });
}
