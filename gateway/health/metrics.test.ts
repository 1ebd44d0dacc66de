import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { metricsText } from "./metrics.ts";
import { healthyAccounts, healthyStatus } from "./testing.ts";

const nowMs = Date.UTC(2026, 5, 1);

interface Family {
  type: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const unescaped: Record<string, string> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const [whole = "", name = "", value = ""] =
      /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?=.)|$)/.exec(rest) ?? [];
    if (whole === "") throw new Error(`labels cannot be read from: ${rest}`);
    if (name in labels) throw new Error(`label ${name} twice`);
    labels[name] = value.replaceAll(/\\./g, (pair) => unescaped[pair] ?? pair);
    rest = rest.slice(whole.length);
  }
  return labels;
}

/**
 * Reads the text format strictly. Source: prometheus.io, "Exposition formats", text format 0.0.4; naming: "Metric and
 * label naming".
 */
function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let current: { name: string; family: Family } | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (families.has(name)) throw new Error(`${name} comes in two places`);
      current = { name, family: { type: "", help: rest, samples: [] } };
      families.set(name, current.family);
      continue;
    }
    if (current === undefined) throw new Error(`no HELP before: ${line}`);
    if (kind === "TYPE") {
      if (name !== current.name || current.family.samples.length > 0) throw new Error(`misplaced: ${line}`);
      if (!["counter", "gauge", "histogram"].includes(rest)) throw new Error(`unknown type: ${line}`);
      current.family.type = rest;
      continue;
    }
    const [, sample = "", labelText = "", number = ""] =
      /^([a-zA-Z_:][\w:]*)(?:\{(.+)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|-Inf|NaN)$/.exec(line) ?? [];
    if (sample === "") throw new Error(`not a sample: ${line}`);
    const suffix = current.family.type === "histogram" ? "_(bucket|sum|count)" : "";
    if (!new RegExp(`^${current.name}${suffix}$`).test(sample)) throw new Error(`strays: ${line}`);
    const labels = labelsOf(labelText);
    const names = Object.keys(labels).toSorted();
    const key = `${sample} ${JSON.stringify(labels, names)}`;
    if (series.has(key)) throw new Error(`series twice: ${line}`);
    series.add(key);
    current.family.samples.push({ name: sample, labels, value: Number(number.replace("Inf", "Infinity")) });
  }
  return families;
}

function expectHistogram({ samples }: Family): void {
  const groups = Map.groupBy(samples, ({ labels }) => JSON.stringify({ ...labels, le: undefined }));
  for (const group of groups.values()) {
    const buckets = group.filter(({ name }) => name.endsWith("_bucket"));
    const bounds = buckets.map(({ labels }) => Number(labels["le"]?.replace("+Inf", "Infinity")));
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
    expect(bounds.at(-1)).toBe(Infinity);
    const counts = buckets.map(({ value }) => value);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(group.filter(({ name }) => name.endsWith("_sum"))).toHaveLength(1);
    expect(group.find(({ name }) => name.endsWith("_count"))?.value).toBe(counts.at(-1));
  }
}

function valueOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}) {
  const found = families
    .get(name)
    ?.samples.filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value));
  if (found?.length !== 1) throw new Error(`${name} has ${found?.length ?? 0} such samples`);
  return found[0]?.value;
}

describe("the metrics", () => {
  it("follow the exposition format and the naming rules", async () => {
    const families = parseExposition(await metricsText(healthyStatus(nowMs), healthyAccounts(), nowMs));
    for (const [name, family] of families) {
      expect(name).toMatch(/^(kerb|process)_[a-z_]+$/);
      expect(family.help.length, name).toBeGreaterThan(5);
      expect(family.samples.length, name).toBeGreaterThan(0);
      expect(name.endsWith("_total"), name).toBe(family.type === "counter");
      expect(name, "base units").not.toMatch(/_(ms|milliseconds|mb|kb)(_|$)/);
      if (family.type === "histogram") expectHistogram(family);
      if (family.type === "counter")
        for (const { value } of family.samples) expect(value).toBeGreaterThanOrEqual(0);
    }
  });

  it("close the books per class", async () => {
    const families = parseExposition(await metricsText(healthyStatus(nowMs), healthyAccounts(), nowMs));
    for (const one of ["event", "live"]) {
      const of = (name: string) => valueOf(families, name, { class: one }) ?? Number.NaN;
      const fates =
        of("kerb_buffer_delivered_total") + of("kerb_buffer_dropped_total") + of("kerb_buffer_events");
      expect(of("kerb_buffer_accepted_total"), one).toBe(fates);
    }
  });

  it("close the books per device, and add up to those of the box", async () => {
    const families = parseExposition(await metricsText(healthyStatus(nowMs), healthyAccounts(), nowMs));
    const sumOf = (name: string, labels: Record<string, string>) =>
      (families.get(name)?.samples ?? [])
        .filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
        .reduce((sum, { value }) => sum + value, 0);
    for (const device of ["one-box", "meter-01", "meter-02", "(other)"]) {
      const fates = ["delivered_total", "dropped_total", "events"].map((name) =>
        sumOf(`kerb_device_${name}`, { device }),
      );
      const accepted = sumOf("kerb_device_accepted_total", { device });
      expect(accepted, device).toBeGreaterThan(0);
      expect(accepted, device).toBe(fates.reduce((sum, events) => sum + events, 0));
    }
    for (const one of ["event", "live"]) {
      for (const name of ["accepted_total", "delivered_total", "dropped_total", "events"])
        expect(sumOf(`kerb_device_${name}`, { class: one }), `${one} ${name}`).toBe(
          sumOf(`kerb_buffer_${name}`, { class: one }),
        );
    }
    expect(sumOf("kerb_device_dropped_total", { device: "meter-01", class: "live", reason: "evicted" })).toBe(
      4,
    );
    expect(valueOf(families, "kerb_device_accepted_total", { device: "meter-02", class: "event" })).toBe(0);
  });

  it("give devices and reasons that nobody has configured one label", async () => {
    const [line] = healthyAccounts();
    if (line === undefined) throw new Error("there is no line");
    const accounts = Array.from({ length: 500 }, (_, i) => {
      return { ...line, device: `gone-${i}`, accepted: 13, dropped: { [`reason-${i}`]: 1 } };
    });
    const status = healthyStatus(nowMs);
    Object.assign(status.devices[1] ?? {}, { enabled: false });
    const families = parseExposition(await metricsText(status, accounts, nowMs));
    const dropped = families.get("kerb_device_dropped_total")?.samples;
    expect(dropped).toMatchObject([
      { labels: { device: "(other)", class: "event", reason: "other" }, value: 500 },
    ]);
    const devices = families.get("kerb_device_accepted_total")?.samples.map(({ labels }) => labels["device"]);
    expect([...new Set(devices)]).toEqual(["one-box", "meter-01", "(other)"]);
  });

  it("say what the status says, in seconds and bytes", async () => {
    const families = parseExposition(await metricsText(healthyStatus(nowMs), healthyAccounts(), nowMs));
    expect(valueOf(families, "kerb_upstream_connected", { target: "ioc" })).toBe(1);
    expect(valueOf(families, "kerb_upstream_ack_lag_seconds")).toBe(2);
    expect(valueOf(families, "kerb_buffer_oldest_timestamp_seconds")).toBe(nowMs / 1000 - 2);
    expect(valueOf(families, "kerb_eventloop_delay_seconds", { stat: "p99" })).toBe(0.003);
    expect(valueOf(families, "kerb_device_reads_total", { device: "meter-01", outcome: "ok" })).toBe(3);
    expect(valueOf(families, "kerb_problems_active", { severity: "bad" })).toBe(0);
    const bucket = { device: "meter-01", le: "0.1" };
    const inBuckets = families
      .get("kerb_device_read_duration_seconds")
      ?.samples.find(({ labels }) => labels["device"] === bucket.device && labels["le"] === bucket.le);
    expect(inBuckets?.value).toBe(3);
    expect(
      families
        .get("kerb_device_read_duration_seconds")
        ?.samples.find(({ labels }) => labels["le"] === "0.005")?.value,
    ).toBe(2);
  });

  it("leave out a time that there is not", async () => {
    const status = healthyStatus(nowMs);
    status.outbox.oldestMs = undefined;
    status.outbox.uplinks = {};
    for (const device of status.devices) delete device.lastGoodMs;
    const families = parseExposition(await metricsText(status, healthyAccounts(), nowMs));
    expect(families.has("kerb_buffer_oldest_timestamp_seconds")).toBe(false);
    expect(families.has("kerb_device_last_success_timestamp_seconds")).toBe(false);
    expect(families.has("kerb_upstream_in_flight")).toBe(false);
    expect(valueOf(families, "kerb_upstream_ack_lag_seconds")).toBe(0);
  });

  it("survive an empty site", async () => {
    const status = healthyStatus(nowMs);
    Object.assign(status, { devices: [], hosts: [], uplinks: [] });
    expect(parseExposition(await metricsText(status, healthyAccounts(), nowMs)).has("kerb_device_up")).toBe(
      false,
    );
  });

  it("escape what a label may not hold", async () => {
    const status = healthyStatus(nowMs);
    const nasty = 'a"b\\c\nd} 1';
    Object.assign(status.devices[0] ?? {}, { id: nasty });
    const families = parseExposition(await metricsText(status, healthyAccounts(), nowMs));
    expect(valueOf(families, "kerb_device_up", { device: nasty })).toBe(1);
  });

  it("have as many series as devices are configured, and none for points or disabled ones", async () => {
    const status = healthyStatus(nowMs);
    const [one] = status.devices;
    if (one === undefined) throw new Error("there is no device");
    const seriesOf = async (count: number) => {
      status.devices = Array.from({ length: 1000 }, (_, i) => ({ ...one, id: `m-${i}`, enabled: i < count }));
      const families = parseExposition(await metricsText(status, healthyAccounts(), nowMs));
      return [...families.values()].reduce((sum, { samples }) => sum + samples.length, 0);
    };
    const [none, ten, thousand] = [await seriesOf(0), await seriesOf(10), await seriesOf(1000)];
    expect(ten - none).toBeLessThanOrEqual(200);
    expect(thousand - none).toBe(100 * (ten - none));
  });

  const hasPromtool = spawnSync("promtool", ["--version"]).error === undefined;
  if (!hasPromtool) console.warn("skipped: promtool is not installed");
  it.skipIf(!hasPromtool)("please promtool", async () => {
    const input = await metricsText(healthyStatus(nowMs), healthyAccounts(), nowMs);
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input,
      encoding: "utf8",
    });
    expect({ status, said: stdout + stderr }).toEqual({ status: 0, said: "" });
    // It must be able to say no.
    expect(spawnSync("promtool", ["check", "metrics"], { input: "kerb_x{a=b} 1\n" }).status).not.toBe(0);
  });
});
