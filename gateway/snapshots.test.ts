import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeviceError, type Connection, type Snapshot } from "./driver.ts";
import { Pictures } from "./host/pictures.ts";
import {
  keepSnapshot,
  newReference,
  openSnapshot,
  prepareSnapshots,
  snapshotFolder,
  sweepSnapshots,
} from "./snapshots.ts";

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
async function keep(taken = picture(), nowMs = Date.now()) {
  const reference = newReference(minuteMs, nowMs);
  return { ...reference, sha256: await keepSnapshot(rule(), "camera-1", taken, reference, nowMs) };
}
const kept = () => readdirSync(folder).filter((name) => name !== "key");

describe("kept pictures", () => {
  it("are encrypted, for this user alone, and come back as they were", async () => {
    const nowMs = Date.now();
    const { ref, keptUntil } = await keep(picture(), nowMs);
    const file = readFileSync(join(folder, ref));
    expect(file.includes("a picture") || file.includes("camera-1")).toBe(false);
    expect(statSync(join(folder, ref)).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "key")).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(keptUntil).toBe(new Date(nowMs + minuteMs).toISOString());
    const opened = await openSnapshot(folder, ref);
    expect(opened).toMatchObject({ device: "camera-1", type: "image/jpeg", takenMs: nowMs });
    expect(Buffer.from(opened?.bytes ?? []).toString()).toBe("a picture");
  });

  it("that were changed, renamed or have lost their key are not opened", async () => {
    const { ref } = await keep();
    const file = join(folder, ref);
    const bytes = readFileSync(file);
    const other = ref.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    writeFileSync(join(folder, other), bytes);
    await expect(openSnapshot(folder, other)).rejects.toThrow();
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    await expect(openSnapshot(folder, ref)).rejects.toThrow();
    for (const wrong of ["../../token.key", "key", "", "a".repeat(300)])
      expect(await openSnapshot(folder, wrong)).toBeUndefined();
  });

  it("go when their time is over, or would be longer than the rule says, or when there is no rule any more", async () => {
    const nowMs = Date.now();
    await keep(picture(), nowMs);
    expect(await sweepSnapshots(folder, rule(), nowMs + minuteMs - 1)).toBe(0);
    expect(await sweepSnapshots(folder, rule(), nowMs + minuteMs)).toBe(1);
    await keep(picture(), nowMs);
    expect(await sweepSnapshots(folder, rule(), nowMs - 10 * minuteMs)).toBe(1);
    await keep(picture(), nowMs);
    expect(await sweepSnapshots(folder, undefined, nowMs)).toBe(1);
    expect(kept()).toEqual([]);
    expect(await sweepSnapshots(join(state, "nowhere"), undefined)).toBe(0);
  });

  it("are not opened when their time is over, also where nobody has swept", async () => {
    const nowMs = Date.now();
    const { ref } = await keep(picture(), nowMs);
    expect(await openSnapshot(folder, ref, nowMs + minuteMs - 1)).toBeDefined();
    expect(await openSnapshot(folder, ref, nowMs + minuteMs)).toBeUndefined();
  });

  it("that are larger than all that may be kept are refused, and cost no other its place", async () => {
    const { ref } = await keep();
    await expect(keep(picture("x".repeat(20_000)))).rejects.toThrow("larger");
    expect(kept()).toEqual([ref]);
  });

  it("stay within their bytes: the oldest go first", async () => {
    const nowMs = Date.now();
    const refs: string[] = [];
    for (let i = 0; i < 5; i++) {
      const { ref } = await keep(picture("x".repeat(3000)), nowMs + i);
      refs.push(ref);
    }
    expect(kept().toSorted()).toEqual(refs.slice(2).toSorted());
  });

  it("that were half written when the power went are cleared away", async () => {
    writeFileSync(join(folder, "half.new"), "x");
    expect(await sweepSnapshots(folder, rule(), Date.now() + 2 * minuteMs)).toBe(1);
  });
});

type Data = Record<string, unknown>;

describe("events with pictures", () => {
  const told: Data[] = [];
  beforeEach(() => void told.splice(0));

  function pictures(snapshot: ((signal: AbortSignal) => Promise<Snapshot>) | undefined): Pictures {
    const connection = (snapshot === undefined ? {} : { snapshot }) as unknown as Connection<unknown>;
    return new Pictures(
      { id: "camera-1", snapshots: rule() },
      () => connection,
      (data) => void told.push(data),
    );
  }
  const tamper = { record: "tamper", state: "active" };

  it("leave at once with a reference, under which the hash is told afterwards", async () => {
    const { promise, resolve } = Promise.withResolvers<Snapshot>();
    const all = pictures(() => promise);
    const motion = { record: "motion" };
    expect(all.withReference(motion)).toBe(motion);
    const { snapshot } = all.withReference(tamper) as { snapshot: Data };
    expect(Object.keys(snapshot).toSorted()).toEqual(["keptUntil", "ref"]);
    const over = { record: "tamper", state: "inactive" };
    expect(all.withReference(over)).toBe(over);
    // A storm of alarms is no storm of pictures.
    const tooSoon = { ...tamper, snapshot: { missing: "too-soon" } };
    expect(all.withReference(tamper)).toEqual(tooSoon);
    expect(told).toEqual([]);
    resolve(picture());
    await expect.poll(() => told.length).toBe(1);
    const sha256 = createHash("sha256").update("a picture").digest("hex");
    expect(told).toEqual([{ record: "snapshot", of: "tamper", snapshot: { ...snapshot, sha256 } }]);
    expect(kept()).toEqual([snapshot["ref"]]);
    expect(all.withReference(tamper)).toEqual(tooSoon);
  });

  it("say why there is none: the camera has none, cannot, or the box stops", async () => {
    expect(pictures(undefined).withReference(tamper)["snapshot"]).toEqual({ missing: "unsupported" });
    const denied = pictures(() => Promise.reject(new DeviceError("denied", "no")));
    const { snapshot } = denied.withReference(tamper) as { snapshot: Data };
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toMatchObject({ snapshot: { ref: snapshot["ref"], missing: "denied" } });
    const hanging = pictures(
      (signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new DeviceError("aborted", "given up"))),
        ),
    );
    hanging.withReference(tamper);
    await hanging.end();
    expect(told[1]).toMatchObject({ snapshot: { missing: "aborted" } });
  });

  it("are told as not kept where the disk does not take them", async () => {
    rmSync(folder, { recursive: true });
    pictures(() => Promise.resolve(picture())).withReference(tamper);
    await expect.poll(() => told.length).toBe(1);
    expect(told[0]).toMatchObject({ snapshot: { missing: "storage" } });
  });
});
