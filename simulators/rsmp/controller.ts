import { checkRoom, seededRandom, type SimulatedPoint, type SimulatorOptions } from "../simulator.ts";
import { AlarmBoard } from "./alarm-board.ts";
import {
  alarms,
  argumentProblem,
  commands,
  has,
  optionalArguments,
  statuses,
  type ObjectType,
} from "./sxl.ts";

/** A traffic-light controller without its wire: signal groups that cycle, detectors, plans, alarms, commands. */

export type StatusText = string | readonly Record<string, string>[];
/** What a request for a status or a command gets; "mismatch" = not in the SXL. */
export type StatusAnswer = { s: StatusText | null; q: "recent" | "undefined" | "unknown" } | "mismatch";
interface Argument {
  cCI: string;
  n: string;
  v: string;
}
export interface CommandValue {
  cCI: string;
  n: string;
  v: string | null;
  age: string;
}

interface StatusAddress {
  status: string;
  name: string;
  component?: string;
  of?: "chars" | "list";
  item?: number;
}

const cycleS = 60;
const stageS = 15;
/** Traffic data is of the last whole interval of this length. */
const countsMs = 300_000;

/** Component ids of like parts: as the settings list them, else made up of the controller's. */
function componentIds(given: unknown, counted: number, prefix: string): string[] {
  const list: unknown[] = Array.isArray(given) ? given : [];
  const total = typeof given === "number" ? given : Array.isArray(given) ? given.length : counted;
  return Array.from({ length: total }, (_, i) => {
    const item = list[i];
    const id = typeof item === "string" ? item : (item as { id?: unknown } | undefined)?.id;
    return typeof id === "string" ? id : `${prefix}${i + 1}`;
  });
}

/** One character of S0001 at a second of the group's stage. */
function signalCharacter(second: number, isOurs: boolean): string {
  if (!isOurs) return "B";
  if (second < 1) return "0";
  if (second < 5) return "1";
  if (second < 11) return "3";
  return second < 14 ? "N" : "B";
}

/** Numbers are texts of nine digits at most. */
const nineDigits = { low: -999_999_999, high: 999_999_999 };

/** Throws where a value would not stand alone: it would push its neighbours in the text or the list aside. */
function checkPlace(point: SimulatedPoint, value: number | string | undefined): void {
  checkRoom(point, value, nineDigits);
  const { of } = point.address as Partial<StatusAddress>;
  const text = String(value ?? "0");
  const isAlone = of === "chars" ? text.length === 1 : of !== "list" || !text.includes(",");
  if (isAlone) return;
  const room = of === "chars" ? "one character" : "one entry of a list";
  throw new Error(`${point.name} cannot show "${text}": it is ${room}`);
}

export class Controller {
  readonly main: string;
  readonly board: AlarmBoard;
  readonly #options: SimulatorOptions;
  #sxl: string;
  readonly #groups: string[];
  readonly #detectors: string[];
  readonly #pinned = new Map<string, number | string>();
  /** Points of one status value, by "component status name". */
  readonly #points = new Map<string, { point: SimulatedPoint; address: StatusAddress }[]>();
  readonly #bits: { point: SimulatedPoint; bit: number }[] = [];
  readonly #codes: { level1?: string; level2?: string };
  #ordered = { position: "NormalControl", before: "NormalControl", untilMs: Infinity };
  #plan = 1;
  #isPlanForced = false;
  #situation = 1;
  #emergency = 0;
  #now: () => number;

  constructor(options: SimulatorOptions, main: string, sxl: string, now: () => number) {
    this.#options = options;
    this.main = main;
    this.#sxl = sxl;
    this.#now = now;
    this.#codes = { ...(options.settings["securityCodes"] as object | undefined) };
    for (const point of options.points) this.#add(point);
    const groupCount = this.#itemsMax("S0001", "signalgroupstatus", 4);
    const detectorCount = this.#itemsMax("S0002", "detectorlogicstatus", 4);
    const { signalGroups, detectors } = options.settings;
    this.#groups = componentIds(signalGroups, groupCount, `${main}SG`);
    this.#detectors = componentIds(detectors, detectorCount, `${main}DL`);
    this.board = new AlarmBoard(sxl, now, {
      controller: [main],
      group: this.#groups,
      detector: this.#detectors,
    });
  }

  get sxl(): string {
    return this.#sxl;
  }

  /** It has another version of the SXL from now on. */
  become(sxl: string): void {
    this.#sxl = sxl;
    this.board.become(sxl);
  }

  #add(point: SimulatedPoint): void {
    const address = point.address as Partial<StatusAddress> & { aggregated?: string; bit?: number };
    if (address.aggregated === "se") this.#bits.push({ point, bit: address.bit ?? 1 });
    if (address.status === undefined || address.name === undefined) return;
    const key = this.keyOf(address.component ?? this.main, address.status, address.name);
    const list = this.#points.get(key) ?? [];
    list.push({ point, address: { ...address, status: address.status, name: address.name } });
    this.#points.set(key, list);
  }

  #itemsMax(code: string, name: string, least: number): number {
    const points = this.#points.get(this.keyOf(this.main, code, name)) ?? [];
    return Math.max(least, ...points.map(({ address }) => address.item ?? 0));
  }

  keyOf(component: string, code: string, name: string): string {
    return `${component} ${code} ${name}`;
  }

  /** Pins a point. Gives back what it changes: "se" or the key of a status; undefined for a stranger. */
  set(name: string, value: number | string | undefined): string | undefined {
    const known = this.#options.points.find((one) => one.name === name);
    if (known !== undefined) checkPlace(known, value);
    if (value === undefined) this.#pinned.delete(name);
    else this.#pinned.set(name, value);
    if (this.#bits.some(({ point }) => point.name === name)) return "se";
    for (const [key, list] of this.#points) if (list.some(({ point }) => point.name === name)) return key;
    return undefined;
  }

  /** A component that can have this alarm. */
  componentFor(alarm: string): string {
    const on = alarms[alarm]?.on;
    return (
      (on === "group" ? this.#groups[0] : on === "detector" ? this.#detectors[0] : undefined) ?? this.main
    );
  }

  /** The type of a component; undefined when there is none of that name. */
  typeOf(component: string): ObjectType | undefined {
    if (component === this.main) return "controller";
    if (this.#groups.includes(component)) return "group";
    if (this.#detectors.includes(component)) return "detector";
    return undefined;
  }

  status(component: string, code: string, name: string): StatusAnswer {
    const known = statuses[code];
    const isKnown = known !== undefined && has(this.#sxl, code) && known.names.includes(name);
    if (!isKnown || !has(this.#sxl, code, name)) return "mismatch";
    const type = this.typeOf(component);
    if (type === undefined) return { s: null, q: "undefined" };
    if (type !== known.on) return { s: null, q: "unknown" };
    const s = this.#value(component, code, name);
    return s === undefined ? { s: null, q: "unknown" } : { s, q: "recent" };
  }

  #value(component: string, code: string, name: string): StatusText | undefined {
    const points = this.#points.get(this.keyOf(component, code, name)) ?? [];
    const modelled = this.#modelled(component, code, name);
    const [only] = points;
    if (only === undefined) return modelled;
    if (only.address.of === undefined) return this.#shown(only.point) ?? modelled ?? "0";
    const isChars = only.address.of === "chars";
    const plain = typeof modelled === "string" ? modelled : "";
    const parts = isChars ? plain.split("") : plain === "" ? [] : plain.split(",");
    for (const { point, address } of points) {
      const at = (address.item ?? 1) - 1;
      while (parts.length < at) parts.push(isChars ? "-" : "-1");
      parts[at] = this.#shown(point) ?? parts[at] ?? "0";
    }
    return parts.join(isChars ? "" : ",");
  }

  /** A pinned or fixed value as raw text; undefined while the controller itself decides. */
  #shown(point: SimulatedPoint): string | undefined {
    const pinned = this.#pinned.get(point.name);
    if (typeof pinned === "number")
      return String(Number(((pinned - point.offset) / point.scale).toPrecision(9)));
    if (pinned !== undefined) return pinned;
    return point.fixed === undefined ? undefined : String(point.fixed);
  }

  get #second(): number {
    return Math.floor(this.#now() / 1000) % cycleS;
  }

  /** The functional position: an ordered one ends by itself when its time is over. */
  get #position(): string {
    const { position, before, untilMs } = this.#ordered;
    return this.#now() < untilMs ? position : before;
  }

  #signals(): string {
    const stage = Math.floor(this.#second / stageS);
    if (this.#position === "Dark") return "b".repeat(this.#groups.length);
    if (this.#position === "YellowFlash") return "c".repeat(this.#groups.length);
    return this.#groups.map((_, i) => signalCharacter(this.#second % stageS, i % 4 === stage)).join("");
  }

  #flag(isSo: boolean): string {
    return isSo ? "True" : "False";
  }

  /** Who has brought a status about (SXL since 1.1). */
  #source(code: string): string {
    const isOrdered = this.#now() < this.#ordered.untilMs && this.#position !== "NormalControl";
    return (code === "S0014" && this.#isPlanForced) || (code === "S0011" && isOrdered)
      ? "forced"
      : "calendar_clock";
  }

  #modelled(component: string, code: string, name: string): StatusText | undefined {
    if (name === "intersection") return "0";
    if (name === "source") return this.#source(code);
    if (code >= "S0201" && code <= "S0208") return this.#traffic(component, code, name);
    const time = new Date(this.#now());
    switch (code) {
      case "S0001": {
        const stage = String(Math.floor(this.#second / stageS) + 1);
        return name === "signalgroupstatus"
          ? this.#signals()
          : name === "stage"
            ? stage
            : String(this.#second);
      }
      case "S0002":
        return this.#detectors
          .map((_, i) => String((Math.floor(this.#now() / 3000) + i) % 3 === 0 ? 1 : 0))
          .join("");
      case "S0005":
        return name === "status" ? "False" : [{ intersection: "0", startup: "False" }];
      case "S0006":
        return name === "status" ? this.#flag(this.#emergency !== 0) : String(this.#emergency);
      case "S0007":
        return this.#flag(this.#position !== "Dark");
      case "S0011":
        return this.#flag(this.#position === "YellowFlash");
      case "S0014":
        return String(this.#plan);
      case "S0015":
        return String(this.#situation);
      case "S0016":
        return String(this.#detectors.length);
      case "S0017":
        return String(this.#groups.length);
      case "S0020":
        return this.#position === "NormalControl" ? "control" : "standby";
      case "S0095": {
        const { vendor = "kerb", model = "pretend controller", firmware = "1" } = this.#options.identity;
        return `${vendor}, ${model}, ${firmware}`;
      }
      case "S0096":
        return this.#clock(time, name);
      default:
        return constants[code]?.[name] ?? constants[code]?.["status"];
    }
  }

  #clock(time: Date, name: string): string {
    const [date = "", clock = ""] = time.toISOString().slice(0, 19).split("T");
    const [year, month, day] = date.split("-").map(Number);
    const [hour, minute, second] = clock.split(":").map(Number);
    return String({ year, month, day, hour, minute, second }[name]);
  }

  /** Of the last whole interval: whoever asks twice gets the same. S0205 to S0208 are S0201 to S0204 of all. */
  #traffic(component: string, code: string, name: string): string {
    const interval = Math.floor(this.#now() / countsMs) - 1;
    if (name === "start" || name === "starttime") return new Date(interval * countsMs).toISOString();
    const [low, high] = name === "speed" ? [25, 55] : name === "occupancy" ? [3, 40] : [0, 30];
    const letters = Buffer.from(name).reduce((sum, letter) => sum * 31 + letter, 7);
    const detectors = code >= "S0205" ? this.#detectors : [component];
    const values = detectors.map((id) => {
      const seed =
        (this.#options.seed ?? 1) + interval * 7919 + letters + this.#detectors.indexOf(id) * 104_729;
      return Math.round(low + seededRandom(seed)() * (high - low));
    });
    return values.join(",");
  }

  /** State bits of the aggregated status: what is pinned, and what alarms and mode say. */
  bits(): boolean[] {
    const isNormal = this.#position === "NormalControl";
    const bits = [
      false,
      false,
      this.#position === "YellowFlash",
      this.board.isActive("2"),
      this.board.isActive("3"),
      isNormal,
      !isNormal,
      false,
    ];
    for (const { point, bit } of this.#bits) {
      const shown = this.#shown(point);
      if (shown !== undefined) bits[bit - 1] = shown === "1" || shown === "true";
    }
    return bits;
  }

  /** Carries out a command on a component. A text is the reason of a MessageNotAck. */
  command(component: string, given: readonly Argument[]): CommandValue[] | string {
    const type = this.typeOf(component);
    const byCode = Map.groupBy(given, ({ cCI }) => cCI);
    for (const [code, list] of byCode) {
      const known = commands[code];
      if (known === undefined || !has(this.#sxl, code)) return `unknown command code: ${code}`;
      const names = list.map(({ n }) => n);
      const optional = optionalArguments[code] ?? [];
      const strange = names.find((n) => !known.names.includes(n) && !optional.includes(n));
      if (strange !== undefined) return `unknown argument of ${code}: ${strange}`;
      const missing = known.names.find((n) => !names.includes(n));
      if (missing !== undefined) return `argument of ${code} is missing: ${missing}`;
      for (const { n, v } of list) {
        const problem = argumentProblem(code, n, v);
        if (problem !== undefined) return problem;
      }
      const code2 = list.find(({ n }) => n === "securityCode")?.v;
      const secret = this.#codes[known.level === 1 ? "level1" : "level2"];
      if (known.level > 0 && secret !== undefined && code2 !== secret) return "security code is wrong";
    }
    const undone = type === undefined ? "undefined" : "unknown";
    return [...byCode].flatMap(([code, list]) => {
      const isDone = type === commands[code]?.on && this.#act(code, new Map(list.map(({ n, v }) => [n, v])));
      return list.map(({ n, v }) => ({
        cCI: code,
        n,
        v: isDone ? v : null,
        age: isDone ? "recent" : undone,
      }));
    });
  }

  /** `minutes` 0: for good. */
  #order(position: string, minutes: number): void {
    const before = this.#position;
    const untilMs = minutes === 0 ? Infinity : this.#now() + minutes * 60_000;
    this.#ordered = {
      position,
      before: this.#ordered.untilMs === Infinity ? before : this.#ordered.before,
      untilMs,
    };
  }

  #act(code: string, values: ReadonlyMap<string, string>): boolean {
    const status = values.get("status") ?? "";
    switch (code) {
      case "M0001":
        this.#order(status, Number(values.get("timeout")));
        return true;
      case "M0002":
        this.#isPlanForced = status === "True";
        this.#plan = this.#isPlanForced ? Number(values.get("timeplan")) : 1;
        return true;
      case "M0003":
        this.#situation = status === "True" ? Number(values.get("traficsituation")) : 1;
        return true;
      case "M0005":
        this.#emergency = status === "True" ? Number(values.get("emergencyroute")) : 0;
        return true;
      case "M0103":
        this.#codes[status === "Level1" ? "level1" : "level2"] = values.get("newSecurityCode") ?? "";
        return true;
      case "M0104":
      case "M0007":
      case "M0018":
      case "M0023":
        return true;
      default:
        return false;
    }
  }
}

const constants: Readonly<Record<string, Record<string, StatusText>>> = {
  S0003: { status: "00000000" },
  S0004: { status: "00000000" },
  S0008: { status: "False" },
  S0009: { status: "False" },
  S0010: { status: "True" },
  S0012: { status: "False" },
  S0013: { status: "0" },
  S0018: { number: "2" },
  S0019: { number: "1" },
  S0021: { detectorlogics: "00000000" },
  S0022: { status: "1,2" },
  S0023: { status: "1-1-10,2-1-15" },
  S0024: { status: "1-0,2-0" },
  S0026: { status: "0-1,1-1,2-1,3-1,4-1,5-1,6-1" },
  S0027: { status: "1-0-1-06-00" },
  S0028: { status: "1-60,2-80" },
  S0029: { status: "00000000" },
  S0030: { status: "00000000" },
  S0032: { status: "local" },
  S0033: { status: [] },
  S0034: { status: "0" },
  S0035: { emergencyroutes: [] },
  S0091: { user: "0" },
  S0092: { user: "0" },
  S0097: {
    checksum: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    timestamp: "2024-05-01T00:00:00.000Z",
  },
  S0098: { config: "a2VyYg==", timestamp: "2024-05-01T00:00:00.000Z", version: "1" },
};
