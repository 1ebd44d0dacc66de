import type { LatestReading } from "../host/messages.ts";
import type { Point } from "../profiles/profiles.ts";
import { type CommandMode, type CommandValue, type Refusal } from "./command.ts";
import type { CommandDesk } from "./desk.ts";
import type { AskHost } from "./host-field.ts";
import type { Policy } from "./policy.ts";
import { type CommandState, isFinal } from "./state.ts";

/** Orders of somebody at the cabinet, over the control socket: what would be written, and then the writing. */

/** A point as the site opens it, with what stands there now. `problem`: why it cannot be written, or not so. */
export interface OrderedPoint {
  point: string;
  value: CommandValue;
  unit: string;
  decimals: number;
  kind?: "number" | "boolean" | "text";
  before?: LatestReading;
  least?: number;
  most?: number;
  step?: number;
  words?: readonly string[];
  only?: readonly CommandValue[];
  automatic?: CommandValue;
  needsArm: boolean;
  twoPerson: boolean;
  leaseMsMax?: number;
  alwaysLeased: boolean;
  interlock: { point: string; equals: CommandValue; now: CommandValue | null; holds: boolean }[];
  problem?: Refusal;
}

/** What `kerb write` shows before it asks. */
export interface OrderPreview {
  device: string;
  points: OrderedPoint[];
  /** The device's own reason, where it could not be read. */
  unread?: string;
}

interface Known {
  unit: string;
  decimals: number;
  interlock: NonNullable<Point["write"]>["interlock"];
}

/** What a client asks for with the verb "write". */
export interface LocalRequest {
  device: string;
  args: Record<string, CommandValue>;
  by: string;
  leaseMs?: number;
  reason?: string;
  mode?: CommandMode;
  arm?: string;
}

type Device = { id: string; points: readonly Point[]; write?: { allow: readonly string[] } | undefined };

export class LocalOrders {
  #points: ReadonlyMap<string, Known> = new Map();
  #policy: Policy;
  readonly #ask: AskHost;
  readonly #desk: () => CommandDesk | undefined;
  readonly #watchers = new Set<(state: CommandState) => void>();
  /** Commands whose order is known: of two that are the same each has its own. */
  readonly #taken = new Set<string>();

  constructor(devices: readonly Device[], policy: Policy, ask: AskHost, desk: () => CommandDesk | undefined) {
    this.#policy = policy;
    this.#ask = ask;
    this.#desk = desk;
    this.renew(devices, policy);
  }

  /** From here on these devices may be written, by this policy. */
  renew(devices: readonly Device[], policy: Policy): void {
    const points = new Map<string, Known>();
    this.#policy = policy;
    for (const { id, points: all, write } of devices)
      for (const { name, unit, decimals, write: rules } of all)
        if (rules !== undefined && write?.allow.includes(name) === true)
          points.set(`${id}/${name}`, { unit, decimals: decimals ?? 0, interlock: rules.interlock });
    this.#points = points;
  }

  /** A state that was told: whoever waits for it sees it. */
  moved(state: CommandState): void {
    for (const watch of this.#watchers) watch(state);
  }

  /** What is known of points before they are written; nothing is written. */
  async preview({ device, args }: Pick<LocalRequest, "device" | "args">): Promise<OrderPreview> {
    const known = Object.keys(args).map((name) => this.#points.get(`${device}/${name}`));
    const interlocks = known.flatMap((one) => one?.interlock.map(({ point }) => point) ?? []);
    const names = Object.keys(args).filter((_, i) => known[i] !== undefined);
    let readings: LatestReading[] = [];
    let unread: string | undefined;
    try {
      const points = [...new Set([...names, ...interlocks])];
      if (points.length > 0)
        readings = (await this.#ask(device, { name: "read", device, points, raw: false })) as LatestReading[];
    } catch (error) {
      unread = (error as Error).message;
    }
    const points = Object.entries(args).map(([name, value], i) =>
      this.#ordered(device, name, value, known[i], readings),
    );
    return { device, points, ...(unread === undefined ? {} : { unread }) };
  }

  #ordered(
    device: string,
    point: string,
    value: CommandValue,
    known: Known | undefined,
    readings: readonly LatestReading[],
  ): OrderedPoint {
    const rules = this.#policy.point(device, point);
    const { unit = "1", decimals = 0, interlock = [] } = known ?? {};
    const bare = { point, value, unit, decimals };
    const nothing = { needsArm: false, twoPerson: false, alwaysLeased: false, interlock: [] };
    if (rules === undefined) {
      const problem: Refusal = { code: "KERB-CMD-POINT", reason: `"${point}" is not open for writing` };
      return { ...bare, ...nothing, problem };
    }
    const of = (name: string) => readings.find((one) => one.point === name);
    const before = of(point);
    const { kind, least, most, step, words, only, automatic, needsArm, twoPerson, leaseMsMax, alwaysLeased } =
      rules;
    return {
      ...bare,
      kind,
      ...(before === undefined ? {} : { before }),
      ...(Number.isFinite(least) ? { least } : {}),
      ...(Number.isFinite(most) ? { most } : {}),
      ...(step === undefined ? {} : { step }),
      ...(words === undefined ? {} : { words }),
      ...(only === undefined ? {} : { only }),
      ...(automatic === undefined ? {} : { automatic }),
      needsArm,
      twoPerson,
      leaseMsMax,
      alwaysLeased,
      interlock: interlock.map(({ point: other, equals }) => {
        const { value: now = null, status } = of(other) ?? {};
        return { point: other, equals, now, holds: status === "good" && now === equals };
      }),
    };
  }

  /** The result, also where it was only counted and not told. */
  async #order(desk: CommandDesk, { device: dev, ...order }: LocalRequest): Promise<CommandState> {
    const state = await desk.local({ dev, ...order });
    return { ...state, source: "local", dev, args: order.args };
  }

  /** Writes; yields each state of the command, and with a lease also that of its return. */
  async *write(request: LocalRequest, signal: AbortSignal): AsyncGenerator<CommandState> {
    const desk = this.#desk();
    if (desk === undefined) throw new Error("the journal of commands is not open yet: try again in a moment");
    const queue: CommandState[] = [];
    let wake: (() => void) | undefined;
    let id: string | undefined;
    let hasEnded = false;
    let leased = false;
    let failure: unknown;
    const shown = JSON.stringify(request.args);
    const isSame = ({ source, dev, args, mode }: CommandState): boolean =>
      source === "local" &&
      dev === request.device &&
      (mode ?? "execute") === (request.mode ?? "execute") &&
      JSON.stringify(args) === shown;
    const watch = (state: CommandState): void => {
      const isOurs =
        id === undefined
          ? isSame(state) && !this.#taken.has(state.id)
          : state.id === id || (leased && state.returns === id);
      if (!isOurs) return;
      id ??= state.id;
      this.#taken.add(id);
      queue.push(state);
      // A return that fails is tried again; the end of it is that it is done.
      hasEnded ||= isFinal(state) && (state.returns !== undefined || state.leaseMs === undefined);
      leased ||= state.leaseMs !== undefined;
      wake?.();
    };
    this.#watchers.add(watch);
    signal.addEventListener("abort", () => wake?.());
    try {
      this.#order(desk, request).then(
        (state) => id === undefined && watch(state),
        (error: unknown) => {
          failure = error;
          hasEnded = true;
          wake?.();
        },
      );
      for (;;) {
        yield* queue.splice(0);
        if (failure !== undefined) throw failure;
        if (signal.aborted || (hasEnded && queue.length === 0)) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (queue.length > 0 || signal.aborted || hasEnded) resolve();
        });
      }
    } finally {
      this.#watchers.delete(watch);
      if (id !== undefined) this.#taken.delete(id);
    }
  }
}

/** The request of a client of the control socket, which anybody of its group may have written. Throws a sentence. */
export function localRequest(args: Record<string, unknown>): LocalRequest {
  const { device, args: given, by, leaseMs, reason, mode, arm } = args;
  if (typeof device !== "string" || typeof given !== "object" || given === null || typeof by !== "string")
    throw new Error("a write names a device, points with their values, and who orders it");
  return {
    device,
    args: given as Record<string, CommandValue>,
    by,
    ...(typeof leaseMs === "number" ? { leaseMs } : {}),
    ...(typeof reason === "string" ? { reason } : {}),
    ...(typeof mode === "string" ? { mode: mode as CommandMode } : {}),
    ...(typeof arm === "string" ? { arm } : {}),
  };
}
