import { setImmediate } from "node:timers/promises";
import { Counter, Gauge, Registry } from "prom-client";
import { durationBoundsMs, type DurationCounts } from "../durations.ts";
import { healthChecks } from "./health.ts";
import type { BooksLine } from "../outbox/books.ts";
import type { GatewayStatus } from "../supervisor.ts";

/**
 * The status as Prometheus text. Base units; the device is a label, a point never is, so there are as many series
 * as the site file has devices. Made anew for each scrape: nothing is counted twice, and a device that was removed
 * leaves no series.
 */

export const metricsType = Registry.PROMETHEUS_CONTENT_TYPE;

type Labels = Record<string, string>;
type Sample = [labels: Labels, value: number | undefined];

/** Samples that are formatted in one go: a thousand devices must not keep the main loop from its work. */
const chunkMax = 200;

/** Metric families in the order in which they are shown. */
class Families {
  readonly #parts: (() => Promise<string>)[] = [];

  gauge(name: string, help: string, samples: Sample[]): void {
    this.#add(name, known(samples), (part, registers) => {
      const gauge = new Gauge({ name, help, labelNames: labelNames(part), registers });
      for (const [labels, value] of part) gauge.set(labels, value);
    });
  }

  counter(name: string, help: string, samples: Sample[]): void {
    this.#add(name, known(samples), (part, registers) => {
      const counter = new Counter({ name, help, labelNames: labelNames(part), registers });
      for (const [labels, value] of part) counter.inc(labels, value);
    });
  }

  /** prom-client's own histogram takes observations, and these were counted elsewhere. */
  histogram(name: string, help: string, all: [labels: Labels, counts: DurationCounts][]): void {
    this.#add(name, all, (part, [registry]) => {
      const values = part.flatMap(([labels, counts]) => histogramValues(name, labels, counts));
      const get = () => Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values });
      registry.registerMetric({ name, get } as unknown as Gauge);
    });
  }

  #add<Item>(name: string, items: Item[], fill: (part: Item[], registers: [Registry]) => void): void {
    for (let first = 0; first < items.length; first += chunkMax) {
      const part = items.slice(first, first + chunkMax);
      this.#parts.push(async () => {
        const registry = new Registry();
        fill(part, [registry]);
        const text = await registry.getSingleMetricAsString(name);
        // HELP and TYPE stand before the first sample of a family and nowhere else.
        return first === 0 ? text : text.split("\n").slice(2).join("\n");
      });
    }
  }

  async text(): Promise<string> {
    const texts: string[] = [];
    for (const part of this.#parts) {
      texts.push(await part());
      await setImmediate();
    }
    return `${texts.join("\n")}\n`;
  }
}

/** prom-client shows a family without labels and values as 0, which a time or a size is not. */
function known(samples: Sample[]): [Labels, number][] {
  return samples.flatMap(([labels, value]) => (value === undefined ? [] : [[labels, value]]));
}

function labelNames(samples: [Labels, number][]): string[] {
  return Object.keys(samples[0]?.[0] ?? {});
}

function histogramValues(name: string, labels: Labels, { counts, sumMs }: DurationCounts) {
  let sum = 0;
  const buckets = counts.map((count, i) => {
    sum += count;
    const boundMs = durationBoundsMs[i];
    const le = boundMs === undefined ? "+Inf" : String(boundMs / 1000);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: sum };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: sum },
  ];
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function addGateway(families: Families, status: GatewayStatus, nowMs: number): void {
  const { gateway, loop } = status;
  // The line that sums the devices up is no finding of its own.
  const findings = healthChecks(status, nowMs).filter(({ check }) => check !== "devices");
  const problems = (state: "warn" | "bad") => findings.filter((check) => check.state === state).length;
  const build = { version: gateway.version, node: process.versions.node, gateway: gateway.id };
  families.gauge("kerb_build_info", "Always 1; the labels say what runs.", [[build, 1]]);
  families.gauge("process_start_time_seconds", "Start of the gateway, Unix time.", [
    [{}, gateway.startedMs / 1000],
  ]);
  families.gauge("process_resident_memory_bytes", "Memory of the gateway without its hosts.", [
    [{}, gateway.rssBytes],
  ]);
  families.counter("process_cpu_seconds_total", "CPU time of the gateway without its hosts.", [
    [{}, gateway.cpuMs / 1000],
  ]);
  families.gauge("kerb_eventloop_delay_seconds", "How late the main loop was in the last 10 to 20 s.", [
    [{ stat: "p50" }, loop.p50Ms / 1000],
    [{ stat: "p99" }, loop.p99Ms / 1000],
    [{ stat: "max" }, loop.maxMs / 1000],
  ]);
  families.gauge("kerb_clock_synced", "1 while a time service vouches for the box's clock.", [
    [{}, gateway.clock === "synced" ? 1 : 0],
  ]);
  families.gauge("kerb_problems_active", "Findings of kerb health.", [
    [{ severity: "warn" }, problems("warn")],
    [{ severity: "bad" }, problems("bad")],
  ]);
}

function addOutbox(families: Families, status: GatewayStatus): void {
  const { outbox, outboxSilentMs, diskFreeBytes } = status;
  const classes = ["event", "live"] as const;
  const books = (name: "accepted" | "delivered" | "dropped" | "kept"): Sample[] =>
    classes.map((one) => [{ class: one }, outbox.books[one][name]]);
  families.gauge("kerb_buffer_up", "1 while the outbox stores events.", [
    [{}, outbox.failure === undefined && outboxSilentMs === 0 ? 1 : 0],
  ]);
  families.gauge("kerb_buffer_events", "Events that the IOC has not yet taken into custody.", books("kept"));
  families.gauge("kerb_buffer_bytes", "Bytes in use of the outbox.", [[{}, outbox.fill * outbox.bytesMax]]);
  families.gauge("kerb_buffer_bytes_max", "Bytes that the outbox may use.", [[{}, outbox.bytesMax]]);
  families.gauge("kerb_buffer_file_bytes", "Size of the outbox's file.", [[{}, outbox.bytes]]);
  families.gauge("kerb_buffer_disk_free_bytes", "Free bytes of the outbox's disk.", [[{}, diskFreeBytes]]);
  families.gauge(
    "kerb_buffer_oldest_timestamp_seconds",
    "When the oldest event was accepted, Unix time; absent when none waits.",
    [[{}, seconds(outbox.oldestMs)]],
  );
  families.counter(
    "kerb_buffer_accepted_total",
    "accepted = delivered + dropped + events.",
    books("accepted"),
  );
  families.counter("kerb_buffer_delivered_total", "Events in the IOC's custody.", books("delivered"));
  families.counter("kerb_buffer_dropped_total", "Events given up and declared.", books("dropped"));
  families.histogram("kerb_buffer_commit_duration_seconds", "Transactions that stored events.", [
    [{}, outbox.commits],
  ]);
}

function addUplinks(families: Families, status: GatewayStatus, nowMs: number): void {
  const { uplinks, outbox } = status;
  const each = (value: (uplink: (typeof uplinks)[number]) => number | undefined): Sample[] =>
    uplinks.map((uplink) => [{ target: uplink.id }, value(uplink)]);
  families.gauge(
    "kerb_upstream_connected",
    "1 while the uplink has a session.",
    each(({ state }) => (state === "connected" ? 1 : 0)),
  );
  families.gauge(
    "kerb_upstream_receiver_online",
    "1 while the IOC's receiver says that it is there.",
    each(({ receiver }) => (receiver === "online" ? 1 : 0)),
  );
  const events = uplinks.map(({ id }): Sample => {
    return [{ target: id, outcome: "sent" }, outbox.uplinks[id]?.events];
  });
  families.counter("kerb_upstream_events_total", "Events sent for the first time.", events);
  const batches = uplinks.flatMap(({ id }): Sample[] => {
    const { batches: sent, resent, refused } = outbox.uplinks[id] ?? {};
    const of = (outcome: string, value: number | undefined): Sample => [{ target: id, outcome }, value];
    return [of("sent", sent), of("resent", resent), of("refused", refused)];
  });
  families.counter("kerb_upstream_batches_total", "Messages with events, by outcome.", batches);
  families.counter(
    "kerb_upstream_sent_bytes_total",
    "Bytes written to the link.",
    each(({ bytesWritten }) => bytesWritten),
  );
  families.gauge(
    "kerb_upstream_in_flight",
    "Batches without a PUBACK.",
    each(({ id }) => outbox.uplinks[id]?.inFlight),
  );
  families.gauge(
    "kerb_upstream_backlog_events",
    "Telemetry that waits in fill.",
    each(({ id }) => outbox.uplinks[id]?.backlogRows),
  );
  families.gauge(
    "kerb_upstream_ack_timestamp_seconds",
    "When the IOC last acknowledged custody, Unix time.",
    each(({ lastAcknowledgementMs }) => seconds(lastAcknowledgementMs)),
  );
  const lagMs = outbox.oldestMs === undefined ? 0 : Math.max(0, nowMs - outbox.oldestMs);
  families.gauge("kerb_upstream_ack_lag_seconds", "Age of the oldest event outside the IOC's custody.", [
    [{}, lagMs / 1000],
  ]);
}

function addHosts(families: Families, { hosts }: GatewayStatus): void {
  const each = (value: (host: (typeof hosts)[number]) => number): Sample[] =>
    hosts.map((host) => [{ driver: host.driver }, value(host)]);
  families.gauge(
    "kerb_host_up",
    "1 while the driver's process runs.",
    each(({ state }) => (state === "running" ? 1 : 0)),
  );
  families.gauge(
    "kerb_host_resident_memory_bytes",
    "Memory of the driver's process.",
    each(({ rssBytes }) => rssBytes),
  );
  families.gauge(
    "kerb_host_resident_memory_max_bytes",
    "Above it the process is started anew.",
    each(({ rssBytesMax }) => rssBytesMax),
  );
  families.counter(
    "kerb_host_cpu_seconds_total",
    "CPU time of the driver's process; starts at 0 with each process.",
    each(({ cpuMs }) => cpuMs / 1000),
  );
  families.counter(
    "kerb_host_restarts_total",
    "Times that the driver's process ended.",
    each(({ restarts }) => restarts),
  );
  families.counter(
    "kerb_host_dropped_events_total",
    "Events that the process could not hand over; each is declared in a gap.",
    each(({ dropped }) => Object.values(dropped).reduce((sum, events) => sum + events, 0)),
  );
  families.counter(
    "kerb_host_strangers_total",
    "Calls that were refused because no device of the site file may be the caller.",
    each(({ strangers }) => strangers),
  );
}

function addDevices(families: Families, status: GatewayStatus): void {
  const devices = status.devices.filter((device) => device.enabled);
  const each = (value: (device: (typeof devices)[number]) => number | undefined): Sample[] =>
    devices.map((device) => [{ device: device.id }, value(device)]);
  const up = devices.map((device): Sample => {
    return [{ device: device.id, driver: device.driver }, device.state === "online" ? 1 : 0];
  });
  families.gauge("kerb_device_up", "1 while the device answers.", up);
  families.gauge(
    "kerb_device_last_success_timestamp_seconds",
    "When the device was last read, Unix time; absent before.",
    each(({ lastGoodMs }) => seconds(lastGoodMs)),
  );
  const outcomes = devices.flatMap(({ id, reads, failed, missed }): Sample[] => {
    const ok = reads.counts.reduce((sum, count) => sum + count, 0);
    const of = (outcome: string, value: number): Sample => [{ device: id, outcome }, value];
    return [of("ok", ok), of("failed", failed), of("missed", missed)];
  });
  families.counter(
    "kerb_device_reads_total",
    "Polls: answered, failed, and those that came due during another or without a connection.",
    outcomes,
  );
  families.histogram(
    "kerb_device_read_duration_seconds",
    "Polls that were answered.",
    devices.map((device) => [{ device: device.id }, device.reads]),
  );
}

/** The reasons with a label of their own: whatever a file says, there are no more series than these. */
const reasons = new Set(["corrupt", "evicted", "refused", "released", "storage", "too-large", "unknown"]);
/** What is not in the site file (any more), together; no id has parentheses. */
const otherDevices = "(other)";

type Books = Record<"accepted" | "delivered" | "kept", number> & {
  labels: Labels;
  dropped: Map<string, number>;
};

/** The books by device and class: those of the site file and of the gateway itself; the rest has one label. */
function booksByDevice({ gateway, devices }: GatewayStatus, lines: readonly BooksLine[]): Books[] {
  const books = new Map<string, Books>();
  const of = (device: string, kind: string): Books => {
    const key = `${kind} ${device}`;
    const found = books.get(key) ?? {
      labels: { device, class: kind },
      accepted: 0,
      delivered: 0,
      kept: 0,
      dropped: new Map<string, number>(),
    };
    books.set(key, found);
    return found;
  };
  const configured = new Set([gateway.id, ...devices.filter(({ enabled }) => enabled).map(({ id }) => id)]);
  // A counter that is there from the start, at 0, shows its first increase.
  for (const id of configured) for (const kind of ["event", "live"]) of(id, kind);
  for (const line of lines) {
    const one = of(configured.has(line.device) ? line.device : otherDevices, line.class);
    for (const name of ["accepted", "delivered", "kept"] as const) one[name] += line[name];
    for (const [given, events] of Object.entries(line.dropped)) {
      const reason = reasons.has(given) ? given : "other";
      one.dropped.set(reason, (one.dropped.get(reason) ?? 0) + events);
    }
  }
  return [...books.values()];
}

function addBooks(families: Families, status: GatewayStatus, lines: readonly BooksLine[]): void {
  const books = booksByDevice(status, lines);
  const each = (name: "accepted" | "delivered" | "kept"): Sample[] =>
    books.map((one) => [one.labels, one[name]]);
  families.counter(
    "kerb_device_accepted_total",
    "Events by device and class: accepted = delivered + dropped + events.",
    each("accepted"),
  );
  families.counter("kerb_device_delivered_total", "Events in the IOC's custody.", each("delivered"));
  families.gauge("kerb_device_events", "Events that the IOC has not yet taken into custody.", each("kept"));
  families.counter(
    "kerb_device_dropped_total",
    "Events given up and declared, by reason; absent where there are none.",
    books.flatMap(({ labels, dropped }) =>
      [...dropped].map(([reason, events]): Sample => [{ ...labels, reason }, events]),
    ),
  );
}

/** The whole status and the books by device as text of the Prometheus exposition format, version 0.0.4. */
export function metricsText(
  status: GatewayStatus,
  accounts: readonly BooksLine[],
  nowMs: number,
): Promise<string> {
  const families = new Families();
  addGateway(families, status, nowMs);
  addOutbox(families, status);
  addUplinks(families, status, nowMs);
  addHosts(families, status);
  addDevices(families, status);
  addBooks(families, status, accounts);
  return families.text();
}
