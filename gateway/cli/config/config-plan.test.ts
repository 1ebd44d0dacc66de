import { describe, expect, it } from "vitest";
import type { Standing } from "../../generations/desk.ts";
import type { Plan } from "../../generations/plan.ts";
import { planLines } from "./config-plan.ts";
import { configLines } from "./config-standing.ts";

const plan: Plan = {
  site: [
    { key: "gateway.state", before: "/a", after: "/b", restarts: true },
    { key: "commands.roles.lights.devices", restarts: false },
  ],
  devices: [
    { device: "air-01", action: "start", change: "added", keys: [] },
    { device: "x", action: "stop", change: "removed", keys: [] },
    { device: "cam-02", action: "stop", keys: [{ key: "enabled", before: "true", after: "false" }] },
    { device: "light-cab-01", action: "hot", keys: [{ key: "poll", before: "10 s", after: "5 s" }] },
    {
      device: "meter-01",
      action: "restart",
      keys: [{ key: "transport.port", before: "502", after: "503" }, { key: "password" }],
    },
    { device: "off-01", action: "none", change: "added", keys: [] },
  ],
  restartsGateway: false,
  untouched: 3,
};

describe("a plan, as people read it", () => {
  it("says in English what starts, stops, restarts and goes on", () => {
    expect(planLines(plan, "en")).toEqual([
      "+ air-01                                                    starts",
      "- x                                                         stops",
      "- cam-02                         enabled true -> false      stops",
      "~ light-cab-01                   poll 10 s -> 5 s           goes on, keeps its connection",
      "~ meter-01                       transport.port 502 -> 503  restarts",
      "                                 password changed",
      "+ off-01                                                    is not run",
      "! gateway.state                  /a -> /b                   the whole gateway restarts",
      "~ commands.roles.lights.devices  changed                    at once, nothing restarts",
      "= 3 devices untouched",
    ]);
  });

  it("says the same in Vietnamese", () => {
    const lines = planLines(plan, "vi");
    expect(lines[0]).toMatch(/^\+ air-01 +khởi động$/);
    expect(lines[3]).toMatch(/^~ light-cab-01 +poll 10 s -> 5 s +chạy tiếp, giữ kết nối$/);
    expect(lines[7]).toMatch(/^! gateway\.state +\/a -> \/b +toàn bộ gateway khởi động lại$/);
    expect(lines.at(-1)).toBe("= 3 thiết bị không bị ảnh hưởng");
  });
});

describe("the line of the status", () => {
  const nowMs = Date.parse("2026-11-22T10:00:00Z");
  const standing: Standing = {
    generation: 5,
    at: "2026-11-22T09:57:00Z",
    by: "an",
    how: "rollback",
    of: 1,
    filesDiffer: false,
  };
  const lines = (more: Partial<Standing>, language: "en" | "vi" = "en") =>
    configLines({ configuration: { ...standing, ...more } }, language, nowMs);

  it("names the generation, and where the files say something else", () => {
    expect(lines({})).toEqual(["config   generation 5 (rollback 1, an, 3 min)"]);
    expect(lines({ filesDiffer: true })[0]).toMatch(/ {3}the files say something else: kerb config diff$/);
    const reverted = { generation: 6, reason: "near was online before and is not" };
    expect(lines({ filesDiffer: true, reverted })[1]).toBe(
      "Generation 6 was taken back, 5 runs: near was online before and is not",
    );
  });

  it("says when it goes back, and that the files are wrong", () => {
    const pending = { previous: 4, watchUntilMs: nowMs, untilMs: nowMs };
    expect(lines({ pending })[0]).toMatch(/goes back at \d\d:\d\d:\d\d unless: kerb config confirm$/);
    expect(lines({ safeMode: { count: 2, mistakes: [] } }, "vi")[1]).toBe(
      "CHẾ ĐỘ AN TOÀN: tệp cấu hình sai (2 lỗi): kerb config check",
    );
  });
});
