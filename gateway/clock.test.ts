import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { clockDoubt, clockState, doubtClock, monotonicMs } from "./clock.ts";

let folder = "";
const hourMs = 3_600_000;
const noon = Date.UTC(2026, 10, 22, 12);

/** The time service has touched its mark that long ago, and the process looks at it anew. */
function prove(agoMs = 0): void {
  const mark = process.env["KERB_CLOCK_MARK"] ?? "";
  writeFileSync(mark, "");
  utimesSync(mark, (Date.now() - agoMs) / 1000, (Date.now() - agoMs) / 1000);
  doubtClock({});
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kerb-clock-"));
  process.env["KERB_CLOCK_MARK"] = join(folder, "mark");
  // Only the wall clock is faked: monotonic time goes on by itself.
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(noon);
  clockState();
  doubtClock({ isWrong: false, staleMarkMs: undefined });
});
afterEach(() => {
  vi.useRealTimers();
  delete process.env["KERB_CLOCK_MARK"];
  rmSync(folder, { recursive: true, force: true });
});

it("is synced while the time service says so, and holdover without its word or two hours after it", () => {
  expect(clockState()).toBe("holdover");
  prove();
  expect(clockState()).toBe("synced");
  prove(1.9 * hourMs);
  expect(clockState()).toBe("synced");
  prove(2.1 * hourMs);
  expect(clockState()).toBe("holdover");
  prove(-2 * hourMs);
  expect(clockState()).toBe("holdover");
});

it("is unsynced at an impossible date, whatever the mark says", () => {
  vi.setSystemTime(90_000);
  prove();
  expect(clockState()).toBe("unsynced");
});

it.each([hourMs, -hourMs, 5000])(
  "is unsynced when it is moved away from the proved time by %d ms, until it is proved anew",
  (jump) => {
    prove(600_000);
    expect(clockState()).toBe("synced");
    const before = monotonicMs();
    vi.setSystemTime(noon + jump);
    expect(clockState()).toBe("unsynced");
    expect(monotonicMs() - before).toBeLessThan(1000);
    doubtClock({});
    expect(clockState()).toBe("unsynced");
    // A process that starts now would believe the old mark; it is told.
    expect(clockDoubt().staleMarkMs).toBe(noon - 600_000);
    prove();
    expect(clockState()).toBe("synced");
  },
);

it("is unsynced while it is known to be behind, until it is set or proved", () => {
  doubtClock({ isWrong: true });
  expect(clockState()).toBe("unsynced");
  vi.setSystemTime(noon + 86_400_000);
  expect(clockState()).toBe("holdover");
  doubtClock({ isWrong: true });
  prove();
  expect(clockState()).toBe("synced");
  expect(clockDoubt().isWrong).toBe(false);
});

it("stays unsynced over further steps until it is back at the proved time", () => {
  prove(600_000);
  expect(clockState()).toBe("synced");
  vi.setSystemTime(noon - hourMs);
  expect(clockState()).toBe("unsynced");
  vi.setSystemTime(noon - hourMs + 2000);
  expect(clockState()).toBe("unsynced");
  vi.setSystemTime(noon - 5000);
  expect(clockState()).toBe("unsynced");
  vi.setSystemTime(noon + 300);
  expect(clockState()).toBe("holdover");
});

it("is holdover when it comes back from an impossible time", () => {
  prove(600_000);
  expect(clockState()).toBe("synced");
  vi.setSystemTime(90_000);
  expect(clockState()).toBe("unsynced");
  vi.setSystemTime(noon + hourMs);
  expect(clockState()).toBe("holdover");
});
