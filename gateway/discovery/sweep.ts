import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What a port says to a knock: "nobody" is not even a machine. */
type Knocked = "open" | "refused" | "silent" | "nobody";

/** So many addresses are asked at once, one thing each, and so many knocks and questions begin in a second. */
const atOnceMax = 32;
const perSecond = 200;
const knockMs = 1200;
/** A device with room for one caller needs a moment to see that we have gone. */
const afterKnockMs = 50;

const nobody: readonly string[] = ["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN", "EADDRNOTAVAIL"];

/** Opens a TCP port and closes it in order, without a word. */
export function knock(host: string, port: number, signal: AbortSignal): Promise<Knocked> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const done = (outcome: Knocked): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      if (outcome === "open") socket.end();
      // Who does not hang up in his turn is not waited for.
      setTimeout(() => socket.destroy(), outcome === "open" ? afterKnockMs : 0);
      resolve(outcome);
    };
    const giveUp = (): void => done("silent");
    // On a busy machine the time may be over before what has come was looked at.
    const timer = setTimeout(() => setImmediate(giveUp), knockMs);
    signal.addEventListener("abort", giveUp, { once: true });
    socket.resume();
    socket.once("connect", () => done("open"));
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) =>
      done(nobody.includes(code) ? "nobody" : code === "ECONNREFUSED" ? "refused" : "silent"),
    );
    if (signal.aborted) giveUp();
  });
}

/** Addresses of this machine's own networks that have not even answered who they are (ARP). */
export function unanswered(table = arpTable()): Set<string> {
  const rows = table
    .split("\n")
    .slice(1)
    .map((line) => line.split(/ +/));
  return new Set(rows.flatMap(([address = "", , flags = ""]) => (/^0x0$/.test(flags) ? [address] : [])));
}

function arpTable(): string {
  try {
    return readFileSync("/proc/net/arp", "utf8");
  } catch {
    return "";
  }
}

/** Lets so many things begin in a second, evenly. */
class Pace {
  #nextMs = performance.now();

  async wait(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    const atMs = Math.max(nowMs, this.#nextMs);
    this.#nextMs = atMs + 1000 / perSecond;
    if (atMs > nowMs) await sleep(atMs - nowMs, undefined, { signal }).catch(() => {});
  }
}

export interface SweepPlan {
  readonly addresses: readonly string[];
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
  /** A place that must be left in peace. */
  readonly isHeld: (address: string, port: number) => boolean;
  /** A TCP port that is open, or a UDP port of a machine that may be there. */
  visit(address: string, port: number, kind: "tcp" | "udp"): Promise<void>;
  /** So many addresses are done. */
  done(count: number): void;
}

/** Knocks at the ports of all addresses, each address by one question at a time. Resolves early when the signal aborts. */
export async function sweep(plan: SweepPlan, signal: AbortSignal): Promise<void> {
  const pace = new Pace();
  const waiting = [...plan.addresses];
  let done = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const address = waiting.shift();
      if (address === undefined || signal.aborted) return;
      await one(plan, address, pace, signal);
      plan.done(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, waiting.length) }, work));
}

async function one(plan: SweepPlan, address: string, pace: Pace, signal: AbortSignal): Promise<void> {
  for (const port of plan.tcp) {
    if (signal.aborted) return;
    if (plan.isHeld(address, port)) continue;
    await pace.wait(signal);
    const outcome = await knock(address, port, signal);
    if (outcome === "nobody" || (outcome === "silent" && unanswered().has(address))) return;
    if (outcome !== "open" || signal.aborted) continue;
    await sleep(afterKnockMs, undefined, { signal }).catch(() => {});
    await plan.visit(address, port, "tcp");
  }
  for (const port of plan.udp) {
    if (signal.aborted || plan.isHeld(address, port)) continue;
    await pace.wait(signal);
    await plan.visit(address, port, "udp");
  }
}
