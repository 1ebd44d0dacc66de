import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeviceError, type Connection, type Snapshot } from "./driver.ts";
import { Pictures } from "./host/pictures.ts";
import { keepSnapshot, openSnapshot, prepareSnapshots, snapshotFolder, sweepSnapshots } from "./snapshots.ts";

let folder = "";
let state = "";
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "kerb-snapshots-"));
  folder = snapshotFolder(state);
  prepareSnapshots(folder);
});
afterEach(() => rmSync(state, { recursive: true, force: true }));

const minuteMs = 60_000;
const rule = () => ({ folder, records: ["tamper"], keepMs: minuteMs, bytesMax: 10_000 });
const picture = (text = "a picture"): Snapshot => ({ type: "image/jpeg", bytes: Buffer.from(text) });
const kept = () => readdirSync(folder).filter((name) => name !== "key");

describe("kept pictures", () => {
  it("are encrypted, for this user alone, and come back as they were", async () => {
    const nowMs = Date.now();
    const { ref, keptUntil } = await keepSnapshot(rule(), "camera-1", picture(), nowMs);
    const file = readFileSync(join(folder, ref));
    expect(file.includes("a picture") || file.includes("camera-1")).toBe(false);
    expect(statSync(join(folder, ref)).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "key")).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(keptUntil).toBe(new Date(nowMs + minuteMs).toISOString());
    const opened = await openSnapshot(folder, ref);
    expect(opened).toMatchObject({ device: "camera-1", type: "image/jpeg", takenMs: nowMs });
    expect(Buffer.from(opened.bytes).toString()).toBe("a picture");
  });

  it("that were changed, renamed or have lost their key are not opened", async () => {
    const { ref } = await keepSnapshot(rule(), "camera-1", picture());
    const file = join(folder, ref);
    const bytes = readFileSync(file);
    const other = ref.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    writeFileSync(join(folder, other), bytes);
    await expect(openSnapshot(folder, other)).rejects.toThrow();
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    await expect(openSnapshot(folder, ref)).rejects.toThrow();
    for (const wrong of ["../../token.key", "key", "", "a".repeat(300)])
      await expect(openSnapshot(folder, wrong)).rejects.toThrow("no reference");
  });

  it("go when their time is over, or would be longer than the rule says, or when there is no rule any more", async () => {
    const nowMs = Date.now();
    await keepSnapshot(rule(), "camera-1", picture(), nowMs);
    expect(await sweepSnapshots(folder, rule(), nowMs + minuteMs - 1)).toBe(0);
    expect(await sweepSnapshots(folder, rule(), nowMs + minuteMs)).toBe(1);
    await keepSnapshot(rule(), "camera-1", picture(), nowMs);
    expect(await sweepSnapshots(folder, rule(), nowMs - 10 * minuteMs)).toBe(1);
    await keepSnapshot(rule(), "camera-1", picture(), nowMs);
    expect(await sweepSnapshots(folder, undefined, nowMs)).toBe(1);
    expect(kept()).toEqual([]);
    expect(await sweepSnapshots(join(state, "nowhere"), undefined)).toBe(0);
  });

  it("stay within their bytes: the oldest go first", async () => {
    const nowMs = Date.now();
    const refs: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { ref } = await keepSnapshot(rule(), "camera-1", picture("x".repeat(3000)), nowMs + i);
      refs.push(ref);
    }
    expect(kept().toSorted()).toEqual(refs.slice(2).toSorted());
  });

  it("that were half written when the power went are cleared away", async () => {
    writeFileSync(join(folder, "half.new"), "x");
    expect(await sweepSnapshots(folder, rule(), Date.now() + 2 * minuteMs)).toBe(1);
  });
});

function pictures(snapshot: ((signal: AbortSignal) => Promise<Snapshot>) | undefined): Pictures {
  const connection = (snapshot === undefined ? {} : { snapshot }) as unknown as Connection<unknown>;
  return new Pictures({ id: "camera-1", snapshots: rule() }, () => connection);
}

describe("events with pictures", () => {
  const told: Record<string, unknown>[] = [];
  const tell = (name: string) => (more: Record<string, unknown>) => void told.push({ name, ...more });
  beforeEach(() => void told.splice(0));

  it("carry reference and hash, in their order, and only those that the rule names", async () => {
    const { promise, resolve } = Promise.withResolvers<Snapshot>();
    const all = pictures(() => promise);
    all.attach({ record: "motion" }, tell("motion"));
    expect(told).toEqual([{ name: "motion" }]);
    all.attach({ record: "tamper", state: "active" }, tell("tamper"));
    all.attach({ record: "tamper", state: "inactive" }, tell("over"));
    expect(told).toHaveLength(1);
    resolve(picture());
    await expect.poll(() => told.length).toBe(3);
    expect(told[1]).toMatchObject({ name: "tamper", snapshot: { ref: kept()[0] } });
    expect(told[2]).toEqual({ name: "over" });
    // A storm of alarms is no storm of pictures.
    all.attach({ record: "tamper", state: "active" }, tell("again"));
    expect(told[3]).toEqual({ name: "again", snapshot: { missing: "too-soon" } });
  });

  it("go without one when the camera has none, cannot, or the box stops", async () => {
    pictures(undefined).attach({ record: "tamper" }, tell("a"));
    pictures(() => Promise.reject(new DeviceError("denied", "no"))).attach({ record: "tamper" }, tell("b"));
    const hanging = pictures(
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new DeviceError("aborted", "given up"))),
        ),
    );
    hanging.attach({ record: "tamper" }, tell("c"));
    hanging.end();
    await expect.poll(() => told.length).toBe(3);
    const missing = Object.fromEntries(told.map(({ name, snapshot }) => [name, snapshot]));
    expect(missing).toEqual({
      a: { missing: "unsupported" },
      b: { missing: "denied" },
      c: { missing: "aborted" },
    });
  });
});
