import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HostDevice } from "./messages.ts";
import { Recognition } from "./recognition.ts";

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "kerb-recognition-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));

const device: HostDevice = {
  id: "door-01",
  index: 1,
  settings: {},
  identify: undefined,
  firmwareRange: "*",
  pollMs: { fast: 100, normal: 100, slow: 100 },
  points: [],
  records: [],
  silenceMs: 0,
  personalData: { how: "drop" },
};
const pinned = () => readFileSync(join(folder, "units", "door-01.json"), "utf8");
const start = (keeps = true) => new Recognition(device, { folder, log: () => {} }, { keeps });
const server = (certificate: string, serial?: string) => ({
  vendor: "Kerb Works",
  more: { certificate },
  ...(serial === undefined ? {} : { serial }),
});

describe("who a device is found to be", () => {
  it("is pinned by the host, and not by somebody who only looks", async () => {
    start(false).take(server("aa:bb"));
    await sleep(300);
    expect(pinned).toThrow("ENOENT");
    start().take(server("aa:bb"));
    await expect.poll(pinned).toContain("aa:bb");
  });

  it("allows no writing where there is no folder to pin it in", () => {
    const one = new Recognition(device, { log: () => {} });
    one.take(server("aa:bb"));
    expect(one.verdict).toEqual({ writable: false });
  });

  it("is another unit with another certificate, also where it claims the same serial number", async () => {
    start().take(server("aa:bb", "7"));
    await expect.poll(pinned).toContain("aa:bb");
    const next = start();
    const [event] = next.take(server("cc:dd", "7"));
    expect(event).toMatchObject({
      state: "identity-changed",
      change: "unit",
      before: { certificate: "aa:bb" },
    });
    expect(next.verdict).toMatchObject({ writable: false, unwritable: { code: "other-unit" } });
    expect(pinned()).not.toContain("cc:dd");
  });

  it("is not known by registers that nobody has written yet", () => {
    const one = start();
    one.take({ vendor: "Acme", serial: "0000" });
    expect(one.take({ vendor: "Acme", serial: "SN-1" })).toEqual([]);
    expect(one.verdict).toEqual({ writable: true });
    one.take({ vendor: "Acme", serial: "0" });
    one.take({ vendor: "Acme", serial: "SN-1" });
    expect(one.verdict).toEqual({ writable: true });
  });

  it("takes no mark of one that cannot be told from a stranger", () => {
    const one = start();
    one.take({ vendor: "Acme", serial: "SN-1" });
    one.take({ vendor: "Other", more: { certificate: "ee:ff" } });
    expect(one.verdict).toMatchObject({ unwritable: { code: "unit-untold" } });
    one.take({ vendor: "Acme", serial: "SN-1", more: { certificate: "aa:bb" } });
    expect(one.verdict).toEqual({ writable: true });
  });

  it("may not be written to while it hides the certificate by which it is known", () => {
    const one = start();
    one.take(server("aa:bb"));
    expect(one.verdict).toEqual({ writable: true });
    one.take({ vendor: "Kerb Works" });
    expect(one.verdict).toMatchObject({
      writable: false,
      unwritable: { code: "unit-untold", reason: expect.stringContaining("--accept") },
    });
  });

  it("has a firmware that changed while the gateway was down", async () => {
    start().take({ serial: "7", firmware: "1.0" });
    await expect.poll(pinned).toContain("1.0");
    const [event] = start().take({ serial: "7", firmware: "2.0" });
    expect(event).toMatchObject({
      state: "identity-changed",
      change: "firmware",
      before: { firmware: "1.0" },
      now: { firmware: "2.0" },
    });
  });

  it("has the firmware of the unit that answers, and not of the one that was removed", async () => {
    const one = new Recognition({ ...device, firmwareRange: ">=2 <3" }, { folder, log: () => {} });
    one.take({ serial: "A-1", firmware: "2.1" });
    expect(one.verdict).toEqual({ writable: true });
    const other = { serial: "B-2" };
    one.take(other);
    expect(one).toMatchObject({ firmware: undefined, verdict: { unwritable: { code: "other-unit" } } });
    await one.accept(other);
    one.take(other);
    expect(one.verdict).toMatchObject({ writable: false, unwritable: { code: "firmware-untold" } });
    // Nor has the first one that of the second when it is put back and says nothing of it.
    one.take({ serial: "B-2", firmware: "9" });
    one.take({ serial: "A-1", firmware: "9" });
    one.take({ serial: "B-2" });
    expect(one.verdict).toMatchObject({ unwritable: { code: "firmware-untold" } });
    expect(one.doubt).toBeUndefined();
  });

  it("is accepted with the firmware that it tells then, though nobody asks it again", async () => {
    const one = new Recognition({ ...device, firmwareRange: ">=2 <3" }, { folder, log: () => {} });
    one.take({ serial: "A-1", firmware: "9" });
    expect(one.doubt).toContain("firmware 9");
    await one.accept({ serial: "B-2" });
    expect(one).toMatchObject({ firmware: undefined, doubt: undefined });
  });
});
