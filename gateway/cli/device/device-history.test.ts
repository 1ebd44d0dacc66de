import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { noteReplacement, replacementsOf } from "./device-history.ts";

it("is written line by line, and through no link that the service's user has laid for root", () => {
  const folder = mkdtempSync(join(tmpdir(), "kerb-history-"));
  try {
    const device = { driver: "modbus", id: "meter-01" };
    const one = { before: null, now: { serial: "A1" } };
    noteReplacement(folder, device, one);
    noteReplacement(folder, device, one);
    expect(replacementsOf(folder, device)).toMatchObject([one, one]);
    const victim = join(folder, "victim");
    writeFileSync(victim, "as it was");
    const units = join(folder, "drivers", "modbus", "units");
    mkdirSync(units, { recursive: true });
    symlinkSync(victim, join(units, "meter-02.history.jsonl"));
    expect(existsSync(join(units, "meter-01.history.jsonl"))).toBe(true);
    expect(() => noteReplacement(folder, { ...device, id: "meter-02" }, one)).toThrow(/ELOOP/);
    expect(readFileSync(victim, "utf8")).toBe("as it was");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
