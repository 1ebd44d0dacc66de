import Database from "better-sqlite3";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { clockState, doubtClock, monotonicMs } from "../clock.ts";
import { EventReader, EventWriter, quality, type KerbEvent } from "../event.ts";
import { gap } from "../gaps.ts";
import { decodeBatch } from "../receiver/decode.ts";
import { ChainHash, chainStart } from "../uplink/canonical.ts";
import type { EncodingName } from "../uplink/encoding.ts";
import type { Message } from "../uplink/flights.ts";
import { Lanes } from "../uplink/lanes.ts";
import type { Moment } from "./clock-fixes.ts";
import { OutboxStore, type StoredRow } from "./store.ts";

/** The wall clock is faked and steps; what truly passes is monotonic time, and the test knows the true time. */

let folder = "";
let path = "";
let store: OutboxStore;
let meter = 0;
let point = 0;
const noon = Date.UTC(2026, 10, 22, 12);
const hourMs = 3_600_000;
/** True time of the monotonic zero. */
let originMs = 0;
const truth = () => originMs + monotonicMs();

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-fixes-"));
  path = join(folder, "outbox.db");
  process.env["KERB_CLOCK_MARK"] = join(folder, "mark");
  originMs = noon - monotonicMs();
  vi.useFakeTimers({ toFake: ["Date"] });
  // The module remembers what the test before did to the clock.
  setClock(0);
  clockState();
  doubtClock({ isWrong: false, staleMarkMs: undefined });
  clockState();
});
afterEach(() => {
  store.close();
  vi.useRealTimers();
  delete process.env["KERB_CLOCK_MARK"];
  rmSync(folder, { recursive: true, force: true });
});

/** Sets the wall clock `wrongByMs` off the truth. */
function setClock(wrongByMs: number): void {
  vi.setSystemTime(Math.round(truth() + wrongByMs));
}
const the1970 = -noon + 60_000;

function prove(): void {
  const mark = process.env["KERB_CLOCK_MARK"] ?? "";
  writeFileSync(mark, "");
  utimesSync(mark, Date.now() / 1000, Date.now() / 1000);
  doubtClock({});
}

function start(began?: Moment): void {
  store = new OutboxStore({ path, bytesMax: 64 * 1024 * 1024, ...(began === undefined ? {} : { began }) });
  const points = [{ name: "count", unit: "1", kind: "number" as const, decimals: 0 }];
  const [device] = store.register([{ id: "meter-01", type: "meter", profile: "", points }]);
  meter = device?.index ?? 0;
  point = device?.points[0]?.index ?? 0;
}

const writer = new EventWriter();
/** True times of the events, by their value. */
const taken: number[] = [];
function reading(): { lane: 1; body: Buffer } {
  writer.begin("telemetry", meter, Date.now(), monotonicMs(), clockState());
  writer.count(1);
  writer.reading(point, taken.push(truth()) - 1, 0);
  return { lane: 1, body: Buffer.from(writer.bytes()) };
}

function lanesOf(encoding: EncodingName = "columnar"): Lanes {
  return new Lanes(store, {
    name: "ioc",
    city: "hcmc",
    gateway: "gw-01",
    encoding,
    windowMax: 20,
    bytesMax: 32_768,
    resendAfterMs: 30_000,
  });
}

function commit(lanes: Lanes, readings = [reading()]): StoredRow[] {
  let planned: ReturnType<Lanes["planNew"]> = [];
  const rows = store.commit(readings, (stored) => {
    planned = lanes.planNew(stored);
    return planned.map((cut) => ({ uplink: "ioc", cut }));
  });
  lanes.stored(rows, planned);
  return rows;
}

function events(messages: Message[]): KerbEvent[] {
  return messages
    .flatMap(({ payload }) => decodeBatch(payload).events(store.dictionary))
    .toSorted((a, b) => a.seq - b.seq);
}

/** How far the times of an event are from the truth, ms. */
function errorOf(event: KerbEvent): number {
  const at = taken[event.readings?.[0]?.value as number] ?? 0;
  return Math.max(Math.abs(event.timeMs - at), Math.abs(event.recordedMs - at));
}

describe.each<EncodingName>(["columnar", "cloudevents"])("times in %s", (encoding) => {
  it("of a boot at 1970 are right in what is sent after the clock was set", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf(encoding);
    commit(lanes);
    commit(lanes);
    store.clock.watch();
    setClock(0);
    // Taken under the wrong clock, committed under the right one.
    const late = reading();
    late.body.writeDoubleLE(Date.now() + the1970, 4);
    late.body[2] = 2;
    commit(lanes, [late, reading()]);
    expect(store.clock.watch()).toMatchObject({ state: "holdover" });
    commit(lanes);
    lanes.connect(20, 32_768);
    const sent = events(lanes.next(0));
    expect(sent.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(sent.map(({ clock }) => clock)).toEqual(Array(5).fill("holdover"));
    for (const event of sent) {
      expect(errorOf(event)).toBeLessThan(1000);
      expect((event.readings?.[0]?.quality ?? 0) & quality.clockUnsynced).toBe(0);
    }
  });

  it.each([-864_000, 864_000, 10 * 365 * 86_400_000])(
    "tell the acceptance by the clock of the reading: %i ms",
    (jumpMs) => {
      setClock(the1970);
      start();
      const early = reading();
      // Set between reading and commit, and not to the right time.
      setClock(the1970 + jumpMs);
      const lanes = lanesOf(encoding);
      commit(lanes, [early]);
      setClock(0);
      expect(store.clock.watch()).toMatchObject({ state: "holdover" });
      lanes.connect(20, 32_768);
      const [event] = events(lanes.next(0));
      expect(Math.abs(event!.timeMs - taken[event!.readings?.[0]?.value as number]!)).toBeLessThan(1000);
      expect(Math.abs(event!.recordedMs - event!.timeMs)).toBeLessThan(1000);
    },
  );

  it("that were never set right say so, and when they were taken since the boot", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf(encoding);
    const before = monotonicMs();
    commit(lanes);
    expect(store.clock.watch()).toBeUndefined();
    lanes.connect(20, 32_768);
    const [event] = events(lanes.next(0));
    expect(event?.clock).toBe("unsynced");
    expect((event?.readings?.[0]?.quality ?? 0) & quality.clockUnsynced).not.toBe(0);
    expect(Math.abs((event?.monoMs ?? 0) - before)).toBeLessThan(2000);
  });
});

const told = (cause: "device_offline" | "box_off" | "clock_step", fromMs: number) => {
  writer.begin("gap", meter, Date.now(), monotonicMs(), clockState());
  writer.object(gap(cause, fromMs, Date.now()));
  return { lane: 0 as const, body: Buffer.from(writer.bytes()) };
};
const near = (text: unknown, ms: number) => Math.abs(Date.parse(String(text)) - ms) < 2000;

describe("clock fixes", () => {
  it("prefer the first proof to a clock that was set an hour wrong by hand", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf();
    commit(lanes);
    setClock(hourMs);
    expect(store.clock.watch()?.stepMs).toBeGreaterThan(50 * 365 * 24 * hourMs);
    commit(lanes);
    setClock(0);
    prove();
    const news = store.clock.watch();
    expect(news?.state).toBe("synced");
    expect(Math.round((news?.stepMs ?? 0) / 1000)).toBe(-3600);
    commit(lanes);
    lanes.connect(20, 32_768);
    const sent = events(lanes.next(0));
    expect(sent.map(({ clock }) => clock)).toEqual(["holdover", "holdover", "synced"]);
    for (const event of sent) expect(errorOf(event)).toBeLessThan(1000);
  });

  it("leave the bytes of a batch that was sent before as they were", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf();
    lanes.connect(20, 32_768);
    commit(lanes);
    const [first] = lanes.next(0);
    lanes.disconnect();
    commit(lanes);
    setClock(0);
    store.clock.watch();
    lanes.connect(20, 32_768);
    const again = lanes.next(0);
    expect(again[0]?.payload.equals(first?.payload ?? Buffer.alloc(0))).toBe(true);
    expect(events(again).map(({ clock }) => clock)).toEqual(["unsynced", "holdover"]);
    // Over a restart too.
    store.close();
    start();
    const restarted = lanesOf();
    restarted.connect(20, 32_768);
    expect(restarted.next(0)[0]?.payload.equals(first?.payload ?? Buffer.alloc(0))).toBe(true);
  });

  it("do not change the seal of what a broker refused when it was sent again, and the receiver had", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf();
    lanes.connect(20, 32_768);
    commit(lanes);
    const [message] = lanes.next(0);
    const [event] = events(message === undefined ? [] : [message]);
    lanes.refused(message?.key ?? 0, 0x95, 0);
    expect(store.deadLetters.of("ioc")).toEqual([1]);
    setClock(0);
    store.clock.watch();
    const { epoch } = store;
    const chain = new ChainHash();
    chain.value = chainStart("", epoch);
    chain.event(event as KerbEvent);
    expect(event).toMatchObject({ seq: 1, clock: "unsynced" });
    store.release("ioc", epoch, 1, ["ioc"]);
    store.close();
    const database = new Database(path, { readonly: true });
    const { state } = database.prepare("SELECT state FROM chain").get() as { state: string };
    database.close();
    start();
    expect(JSON.parse(state)).toMatchObject({ to: 1, n: 1, h: chain.value.toString("hex") });
  });

  it("made by a later run put right what an earlier one took in the same boot, and in no other", () => {
    setClock(the1970);
    start();
    commit(lanesOf());
    store.close();
    setClock(0);
    start();
    expect(store.clock.watch()?.stepMs).toBeGreaterThan(hourMs);
    const lanes = lanesOf();
    lanes.connect(20, 32_768);
    const [event] = events(lanes.next(0));
    expect(event?.clock).toBe("holdover");
    expect(errorOf(event as KerbEvent)).toBeLessThan(1000);
    store.thaw("ioc", store.cuts("ioc")[0] as never);
    store.close();
    const database = new Database(path);
    database.exec("UPDATE epoch SET boot = 'another' WHERE base = 0");
    database.close();
    start();
    const other = lanesOf();
    other.connect(20, 32_768);
    expect(events(other.next(0))[0]?.clock).toBe("unsynced");
  });

  it("move the times in a gap event with it, unless they were right already or tell of the step itself", () => {
    setClock(the1970);
    start();
    const lanes = lanesOf();
    const from = Date.now() - 30_000;
    const yesterday = noon - 24 * hourMs;
    store.commit([told("device_offline", from), told("box_off", yesterday), told("clock_step", from)]);
    const rows = store.rows(0, 1, 3);
    setClock(0);
    store.clock.watch();
    lanes.stored(rows, []);
    lanes.connect(20, 32_768);
    const data = events(lanes.next(0)).map((event) => event.data);
    expect(near(data[0]?.["from"], noon - 30_000)).toBe(true);
    expect(near(data[0]?.["to"], noon)).toBe(true);
    expect(near(data[1]?.["from"], yesterday)).toBe(true);
    expect(near(data[1]?.["to"], noon)).toBe(true);
    expect(near(data[2]?.["from"], from)).toBe(true);
  });

  it("know a clock that came up behind the newest event of the boot before", () => {
    setClock(0);
    start();
    commit(lanesOf());
    store.close();
    const database = new Database(path);
    database.exec("UPDATE epoch SET boot = 'another'");
    database.close();
    setClock(-24 * hourMs);
    doubtClock({ isWrong: false });
    start();
    expect(clockState()).toBe("unsynced");
    setClock(0);
    expect(clockState()).toBe("holdover");
    expect(store.clock.watch()?.stepMs).toBeGreaterThan(23 * hourMs);
  });
});

const now = (): Moment => ({ wallMs: Date.now(), monoMs: monotonicMs(), state: clockState() });

describe("a run that began before its file could be opened", () => {
  it("has the times of what it read until then corrected", () => {
    setClock(the1970);
    const began = now();
    expect(began.state).toBe("unsynced");
    const early = reading();
    const trueMs = truth();
    setClock(0);
    start(began);
    setClock(0);
    expect(store.clock.step(store.epochs)).toMatchObject({ cause: "clock_step" });
    const [row] = store.commit([early]);
    const reader = new EventReader();
    reader.open(store.corrected(row!).body);
    expect(reader.clock).toBe("holdover");
    expect(Math.abs(reader.timeMs - trueMs)).toBeLessThan(100);
  });

  it("was not off in that time, whatever the clock showed", () => {
    start();
    store.commit([reading()]);
    store.close();
    const { monoMs } = now();
    start({ wallMs: 0, monoMs: monoMs - 5000, state: "unsynced" });
    const to = store.runs.boxOff(store.clock)?.data["to"];
    expect(Math.abs(Date.parse(String(to)) - (Date.now() - 5000))).toBeLessThan(1000);
  });
});
