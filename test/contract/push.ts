import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Answer, Connection, RecordPhase, Sink } from "../../gateway/driver.ts";
import { listProfiles, loadProfile, type RecordDefinition } from "../../gateway/profiles/profiles.ts";
import { faults, type Fault } from "../../simulators/simulator.ts";
import {
  leastOf,
  openDescriptors,
  orCode,
  runningTimers,
  settlesAt,
  type PushOutcomes,
  type PushTable,
  type Rig,
  type RigOptions,
  type Subject,
} from "./contract.ts";

/** The part of the contract suite for drivers whose devices push: rule 7 at the head of `gateway/driver.ts`. */

export type Check = (name: string, body: () => Promise<void>) => void;
export type Open = (options?: RigOptions) => Promise<Rig>;

type Told = string | number | boolean;

const shortMs = 300;
const abortMs = 200;
/** A subscription is watched for so long under a fault; nothing in the last part of it is quiet. */
const watchMs = 4000;
const quietMs = 1000;

/** What a subscription has handed on. */
class Listener implements Sink {
  readonly newest = new Map<number, Answer>();
  readonly polled = new Set<number>();
  readonly records: { index: number; answers: readonly (Answer | undefined)[]; phase: RecordPhase }[] = [];
  /** Every value that came, in turn. */
  readonly values: { index: number; answer: Answer }[] = [];
  /** Calls of any method, and those that brought values. */
  signs = 0;
  told = 0;

  alive(): void {
    this.signs++;
  }
  readings(values: readonly { index: number; answer: Answer }[]): void {
    this.signs++;
    this.told++;
    for (const { index, answer } of values) {
      this.newest.set(index, answer);
      this.values.push({ index, answer });
    }
  }
  record(
    index: number,
    answers: readonly (Answer | undefined)[],
    { phase = "occurred" }: { phase?: RecordPhase } = {},
  ): void {
    this.signs++;
    this.told++;
    this.records.push({ index, answers: [...answers], phase });
  }
  poll(index: number): void {
    this.polled.add(index);
  }
}

/** A running subscription: `done` settles with how it ended, "over" or the code of the `DeviceError`. */
interface Running {
  listener: Listener;
  stop: AbortController;
  done: Promise<string>;
  ended(): string | undefined;
}

function begin(rig: Rig, connection: Connection<unknown>): Running {
  const listener = new Listener();
  const stop = new AbortController();
  const call = connection.subscribe?.({ ...rig.pushed(), sink: listener, signal: stop.signal });
  if (call === undefined) throw new Error(`${rig.subject.name} has a push table and no subscribe`);
  let ended: string | undefined;
  const done = orCode(call).then((code) => (ended = code ?? "over"));
  return { listener, stop, done, ended: () => ended };
}

async function until(what: string, isSo: () => boolean, withinMs = 8000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}

const valueOf = (answer: Answer | undefined): unknown => (typeof answer === "object" ? answer.value : answer);

/** A value for each field of a record that is not fixed: text and numbers that nothing else has. */
function plausible(definition: RecordDefinition, round: number): Record<string, Told> {
  const entries = definition.fields
    .filter(({ fixed }) => fixed === undefined)
    .map((field, i): [string, Told] => {
      const [code] = Object.keys(field.values ?? {}).slice(round % 2);
      if (code !== undefined) return [field.name, field.kind === "number" ? Number(code) : code];
      if (field.kind === "boolean") return [field.name, (round + i) % 2 === 0];
      if (field.kind === "text") return [field.name, field.instance ? "K1" : `K${round}${i}`];
      const { scale, offset } = field;
      return [field.name, field.instance ? 1 : (10 * round + i) * scale + offset];
    });
  return Object.fromEntries(entries);
}

/** The fields that were told, as the driver gave them, in engineering values. */
function given(
  definition: RecordDefinition,
  told: Record<string, Told>,
  answers: readonly (Answer | undefined)[],
): Record<string, unknown> {
  const entries = definition.fields.flatMap((field, i): [string, unknown][] => {
    const expected = told[field.name];
    if (expected === undefined) return [];
    const value = valueOf(answers[i]);
    if (typeof expected === "boolean")
      return [[field.name, value === true || value === 1 || value === "true"]];
    if (typeof expected === "string") return [[field.name, String(value)]];
    const { scale, offset } = field.values === undefined ? field : { scale: 1, offset: 0 };
    return [[field.name, Number((Number(value) * scale + offset).toPrecision(9))]];
  });
  return Object.fromEntries(entries);
}

const rounded = (told: Record<string, Told>): Record<string, Told> =>
  Object.fromEntries(
    Object.entries(told).map(([name, value]) => [
      name,
      typeof value === "number" ? Number(value.toPrecision(9)) : value,
    ]),
  );

/** Makes the device tell something, and waits for it. */
async function hears(rig: Rig, table: PushTable, running: Running, device = 1): Promise<void> {
  const { listener } = running;
  const { points } = rig.pushed();
  const index = points.findIndex(({ name }) => name === table.moves);
  const before = listener.records.length;
  const [expected] = index < 0 ? [] : rig.expected([points[index]!], device);
  await until("a value or a record", () => {
    if (running.ended() !== undefined) throw new Error(`the subscription ended with ${running.ended()}`);
    return index < 0
      ? listener.records.length > before
      : Number(valueOf(listener.newest.get(index))) === expected;
  });
}

async function tellAndHear(rig: Rig, table: PushTable, running: Running, device = 1): Promise<void> {
  const heard = hears(rig, table, running, device);
  heard.catch(() => undefined);
  // A device takes a moment to have a subscription: it is made to tell until it is heard.
  for (let i = 0; ; i++) {
    tell(rig, table, i, device);
    if (await Promise.race([heard.then(() => true), sleep(100, false)])) return;
  }
}

function tell(rig: Rig, table: PushTable, round: number, device = 1): void {
  if (table.moves !== undefined) rig.pinAll(device);
  else if (table.record !== undefined) {
    const definition = rig.profile.records.find(({ name }) => name === table.record);
    if (definition === undefined) throw new Error(`${rig.profile.id} has no record "${table.record}"`);
    rig.simulator(device).tell?.(table.record, plausible(definition, round));
  }
}

function checkWhatIsPushed(subject: Subject, check: Check, open: Open): void {
  const profiles = listProfiles()
    .map((id) => loadProfile(id))
    .filter(({ driver }) => driver === subject.name);

  for (const { id, points, records } of profiles) {
    if (points.some(({ poll }) => poll === "push")) {
      check(`pushes every pinned value of ${id}, or says what must be polled`, async () => {
        const rig = await open({ profile: id });
        const running = begin(rig, await rig.connect());
        const pushed = rig.pushed().points;
        const { newest, polled } = running.listener;
        for (let i = 0; i < 80 && newest.size + polled.size < pushed.length; i++) {
          rig.pinAll();
          await sleep(100);
        }
        expect(running.ended()).toBeUndefined();
        const heard = pushed.filter((_, index) => !polled.has(index));
        expect(heard.length).toBeGreaterThan(0);
        const answers = pushed.flatMap((_, index) => (polled.has(index) ? [] : [newest.get(index) ?? ""]));
        rig.expectGood({ answers }, heard);
      });
    }

    for (const definition of records) {
      check(`hands on the record ${definition.name} of ${id} as it was told`, async () => {
        const rig = await open({ profile: id });
        const running = begin(rig, await rig.connect());
        const index = records.indexOf(definition);
        const mine = () => running.listener.records.filter((record) => record.index === index);
        const simulator = rig.simulator();
        for (let i = 0; i < 80 && mine().length === 0; i++) {
          simulator.tell?.(definition.name, plausible(definition, 1));
          await sleep(100);
        }
        for (const round of [2, 3]) {
          // What was told while it subscribed may still come.
          await sleep(300);
          const before = mine().length;
          const told = plausible(definition, round);
          simulator.tell?.(definition.name, told);
          await until(`record ${definition.name}`, () => mine().length > before);
          await sleep(100);
          expect(mine()).toHaveLength(before + 1);
          expect(given(definition, told, mine().at(-1)!.answers)).toEqual(rounded(told));
        }
        expect(running.ended()).toBeUndefined();
      });
    }
  }
}

const isEverywhere = (outcomes: PushOutcomes): outcomes is readonly string[] => Array.isArray(outcomes);

function outcomesFor(outcomes: PushOutcomes, hasListener: boolean): readonly string[] {
  if (isEverywhere(outcomes)) return outcomes;
  return hasListener ? outcomes.listener : outcomes.wire;
}

function inWords(outcomes: PushOutcomes): string {
  if (isEverywhere(outcomes)) return outcomes.join(" or ");
  return `${outcomes.listener.join(" or ")} (on a wire ${outcomes.wire.join(" or ")})`;
}

function checkPushFaults(table: PushTable, check: Check, open: Open): void {
  for (const fault of faults) {
    const outcomes = table.outcomes[fault];
    const delayMs = (fault === "restart" ? 5 : 2) * shortMs;

    check(`${fault} while subscribed: ${inWords(outcomes)}, then good again`, async () => {
      const rig = await open({ timeoutMs: shortMs, profile: table.profile });
      const allowed = outcomesFor(outcomes, rig.transport.hasListener);
      const { connection, running } = await hearing(rig, table, 10_000);
      await rig.fault(fault, delayMs);
      const outcome = await outcomeUnder(rig, table, running);
      expect(allowed).toContain(outcome);
      running.stop.abort();
      await connection.close();
      if (fault !== "restart") await rig.fault(undefined);
      await (await hearing(rig, table, 10_000)).connection.close();
    });
  }

  check("leaks no descriptor over 30 subscriptions with faults", async () => {
    const rig = await open({ timeoutMs: 100, profile: table.profile });
    const cycle = async (fault: Fault | undefined): Promise<void> => {
      await rig.fault(fault, 50);
      const connection = await orCode(rig.connect());
      if (typeof connection !== "string") {
        const running = begin(rig, connection);
        await Promise.race([running.done, sleep(50)]);
        if (fault === "slow") running.stop.abort();
        await connection.close();
        expect(await running.done).toMatch(/\S/);
      }
    };
    const kinds: (Fault | undefined)[] = [undefined, "silent", "hangUp", "garbage", "refuse", "slow"];
    await cycle(undefined);
    const before = openDescriptors();
    for (let i = 0; i < 30; i++) await cycle(kinds[i % kinds.length]);
    await rig.fault(undefined);
    await settlesAt(openDescriptors, before, 3000, "descriptors");
    await (await hearing(rig, table, 8000)).connection.close();
  });
}

/** What becomes of a subscription: the code that ends it, "good" or "quiet". */
async function outcomeUnder(rig: Rig, table: PushTable, running: Running): Promise<string> {
  const { listener } = running;
  const end = performance.now() + watchMs;
  let before = listener.told;
  let heardAt = performance.now();
  for (let round = 0; performance.now() < end; round++) {
    tell(rig, table, round);
    await Promise.race([running.done, sleep(100)]);
    const ended = running.ended();
    if (ended !== undefined) return ended;
    if (listener.told > before) heardAt = performance.now();
    before = listener.told;
  }
  return performance.now() - heardAt > quietMs ? "quiet" : "good";
}

/** A subscription that something was heard of: tried again, because a busy machine is silent for 300 ms as well. */
async function hearing(
  rig: Rig,
  table: PushTable,
  withinMs: number,
  device = 1,
): Promise<{ connection: Connection<unknown>; running: Running }> {
  const end = performance.now() + withinMs;
  for (;;) {
    const connection = await orCode(rig.connect(device));
    if (typeof connection !== "string") {
      const running = begin(rig, connection);
      const heard = await tellAndHear(rig, table, running, device).then(
        () => true,
        () => false,
      );
      if (heard) return { connection, running };
      await connection.close();
    }
    if (performance.now() > end) throw new Error(`nothing heard within ${withinMs} ms`);
    await sleep(100);
  }
}

function checkPushEnds(table: PushTable, check: Check, open: Open): void {
  check("a subscription ends when its signal aborts, hands on nothing more and leaves no timer", async () => {
    const rig = await open({ profile: table.profile });
    const connection = await rig.connect();
    const timersBefore = await leastOf(runningTimers);
    const running = begin(rig, connection);
    await tellAndHear(rig, table, running);
    const abortedAt = performance.now();
    running.stop.abort();
    expect(await running.done).toBe("over");
    expect(performance.now() - abortedAt).toBeLessThan(abortMs);
    const { signs } = running.listener;
    tell(rig, table, 99);
    await sleep(300);
    expect(running.listener.signs).toBe(signs);
    await connection.close();
    await settlesAt(runningTimers, timersBefore, 1000, "timers");
  });

  check("close ends a subscription", async () => {
    const rig = await open({ profile: table.profile });
    const connection = await rig.connect();
    const running = begin(rig, connection);
    await tellAndHear(rig, table, running);
    const closedAt = performance.now();
    await connection.close();
    expect(await running.done).toBe("closed");
    expect(performance.now() - closedAt).toBeLessThan(1000);
  });

  check("a subscription on two devices at one place: each hears its own", async () => {
    const rig = await open({ profile: table.profile, devices: 2 });
    const [a, b] = [begin(rig, await rig.connect(1)), begin(rig, await rig.connect(2))];
    await tellAndHear(rig, table, a, 1);
    await tellAndHear(rig, table, b, 2);
    // What is under way is heard before it is counted.
    await sleep(quietMs / 2);
    const before = { values: a.listener.values.length, records: a.listener.records.length };
    await tellAndHear(rig, table, b, 2);
    tell(rig, table, 50, 2);
    await sleep(quietMs / 2);
    const moving = rig.pushed().points.findIndex(({ name }) => name === table.moves);
    const mine = rig.expected(rig.pushed().points, 1)[moving];
    const heard = a.listener.values.slice(before.values).filter(({ index }) => index === moving);
    for (const { answer } of heard) expect(Number(valueOf(answer))).toBe(mine);
    // A device tells records by itself nowhere: they would be those of the other one.
    if (table.record !== undefined) expect(a.listener.records).toHaveLength(before.records);
    await rig.fault("silent", undefined, 2);
    a.listener.newest.clear();
    await tellAndHear(rig, table, a, 1);
    expect(a.ended()).toBeUndefined();
  });
}

export function checkPush(subject: Subject, table: PushTable, check: Check, open: Open): void {
  checkWhatIsPushed(subject, check, open);
  checkPushEnds(table, check, open);
  checkPushFaults(table, check, open);
}
