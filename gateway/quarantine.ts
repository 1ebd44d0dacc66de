import type { Note } from "./host/notes.ts";

/** Why the supervisor has killed a host: no heartbeat, too much memory, or a pipe that does not carry its events. */
export type Kill = "hung" | "memory" | "garbled";

/** How a host has ended without having been asked to, and what it had noted. */
export interface Death {
  how: Kill | "signal" | "exit";
  signal: NodeJS.Signals | undefined;
  note: Note;
  /** What it had counted a moment before: a host that counts on without a heartbeat is busy, not stopped. */
  stepsBefore: number;
  /** Its memory when it was last looked at. */
  rssBytes: number;
}

/** Growth below this proves nothing. */
const growthBytesMin = 32 * 1024 * 1024;
/** Signals that somebody else has sent; the kernel's choice when memory is short is among them. */
const foreignSignals: readonly (NodeJS.Signals | undefined)[] = ["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"];

/** The device that has taken at least half of what the host's memory has grown by; -1 when none has. */
function largestGrowth({ note, rssBytes }: Death): number {
  if (note.rssAtStart === 0) return -1;
  const accountBytes = note.accountBytes + rssBytes - note.rssAtSwitch;
  const [device, bytes] =
    note.account >= 0 && (accountBytes > note.leaderBytes || note.account === note.leader)
      ? [note.account, accountBytes]
      : [note.leader, note.leaderBytes];
  return bytes >= growthBytesMin && bytes * 2 >= rssBytes - note.rssAtStart ? device : -1;
}

/** The dictionary index of the device whose code has ended its host; undefined when that is not known. */
export function culprit(death: Death): number | undefined {
  const { how, signal, note, stepsBefore } = death;
  const isAbort = signal === "SIGABRT" || signal === "SIGTRAP";
  let device = note.running;
  // Whose code has written into the pipe is over by the time that it is read.
  if (how === "garbled") return undefined;
  if (how === "memory") device = largestGrowth(death);
  // Between two steps of an endless chain of promises nobody runs.
  else if (how === "hung" && device < 0 && note.steps !== stepsBefore) device = note.account;
  else if (how === "signal" && foreignSignals.includes(signal)) device = largestGrowth(death);
  // The engine gives up at whoever asks for memory last.
  else if (how === "signal" && isAbort && largestGrowth(death) >= 0) device = largestGrowth(death);
  return device < 0 ? undefined : device;
}

/** Deaths of a host within this time count together. */
const windowMs = 3_600_000;
const deathsMax = 3;
const trialFirstMs = 600_000;
const trialMaxMs = 6 * 3_600_000;
/** A device that has done no harm for this long begins anew. */
const forgetMs = 24 * 3_600_000;

interface History {
  /** The last three. */
  deathsMs: number[];
  deaths: number;
  /** How often it has been quarantined. */
  times: number;
  /** While quarantined: when it is tried again. */
  untilMs: number | undefined;
}

export interface Sentence {
  device: number;
  deaths: number;
  pauseMs: number;
}

/**
 * Which devices of one host are not run because they have ended it three times within an hour. Each is tried again
 * after 10 min, then after twice as long up to 6 h; one death during a trial is enough. Times are monotonic ms.
 */
export class Quarantine {
  readonly #records = new Map<number, History>();
  readonly #trialFirstMs: number;
  #deathMs = -Infinity;

  constructor(firstMs = trialFirstMs) {
    this.#trialFirstMs = firstMs;
  }

  /** The host has ended because of `device`, or for a reason that is not known. */
  died(device: number | undefined, nowMs: number): Sentence | undefined {
    this.#deathMs = nowMs;
    if (device === undefined) return undefined;
    const record = this.#records.get(device) ?? { deathsMs: [], deaths: 0, times: 0, untilMs: undefined };
    const lastMs = record.deathsMs.at(-1) ?? nowMs;
    if (nowMs - lastMs > forgetMs) record.times = 0;
    record.deathsMs = [...record.deathsMs, nowMs].filter((at) => nowMs - at < windowMs).slice(-deathsMax);
    record.deaths++;
    this.#records.set(device, record);
    if (record.untilMs !== undefined || (record.deathsMs.length < deathsMax && !this.#isOnTrial(record)))
      return undefined;
    const pauseMs = Math.min(trialMaxMs, this.#trialFirstMs * 2 ** Math.min(10, record.times));
    record.times++;
    record.untilMs = nowMs + pauseMs;
    return { device, deaths: record.deaths, pauseMs };
  }

  #isOnTrial(record: History): boolean {
    return record.times > 0 && record.untilMs === undefined;
  }

  /** It has another configuration: what it did before says nothing. */
  forget(device: number): void {
    this.#records.delete(device);
  }

  /** Devices that are not to be run. */
  get held(): number[] {
    return [...this.#records].flatMap(([device, { untilMs }]) => (untilMs === undefined ? [] : [device]));
  }

  /** Takes out the devices whose pause is over: they are to be tried. */
  due(nowMs: number): number[] {
    const over = [...this.#records].filter(([, { untilMs = Infinity }]) => untilMs <= nowMs);
    for (const [, record] of over) {
      record.untilMs = undefined;
      this.#deathMs = nowMs;
    }
    return over.map(([device]) => device);
  }

  /** Whether the host is to be watched closely: it has died, or a device is on trial, within the last hour. */
  isWary(nowMs: number): boolean {
    return nowMs - this.#deathMs < windowMs;
  }
}
