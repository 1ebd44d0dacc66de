import { arch, cpus, loadavg, release } from "node:os";
import type { Spread } from "./measure.ts";
import { mosquittoPath } from "./rig.ts";
import type { Result } from "./workloads.ts";

/** A promise of the project and what this run has shown. `kind`: losing data fails the bench, being slow does not. */
export interface Target {
  workload: string;
  text: string;
  shown: string;
  holds: boolean;
  kind: "data" | "figure";
}

type Row = (string | number)[];

function number(value: number | undefined, digits: number): string {
  if (value === undefined || Number.isNaN(value)) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function milliseconds(value: Spread | undefined): string {
  return value === undefined ? "–" : `${number(value.p50, 0)} / ${number(value.p99, 0)}`;
}

function floorOf(result: Result, results: readonly Result[]): Result | undefined {
  return results.find(({ name }) => name === (result.name === "flat-out" ? "floor-flat" : "floor-200"));
}

function ratio(result: Result, results: readonly Result[]): string {
  if (!["poll-200", "poll-200-serial", "flat-out"].includes(result.name)) return "–";
  const floor = floorOf(result, results);
  return floor === undefined ? "–" : `${number(result.cpu / floor.cpu, 2)}×`;
}

/** The figures of all workloads as aligned text. */
export function table(results: readonly Result[]): string {
  const head = [
    [
      "workload",
      "readings/s",
      "delivered/s",
      "CPU ms per",
      "with",
      "times",
      "RSS",
      "PSS",
      "receiver",
      "ms from change",
      "ms from answer",
      "wire",
      "disk",
      "lost",
      "twice",
    ],
    [
      "",
      "",
      "",
      "1,000",
      "receiver",
      "floor",
      "MB",
      "MB",
      "RSS MB",
      "p50 / p99",
      "p50 / p99",
      "B/reading",
      "B/reading",
      "",
      "",
    ],
  ];
  const rows = results.map((result): Row => [
    result.name,
    number(result.polledPerSecond, 0),
    number(result.deliveredPerSecond, 0),
    number(result.cpu, 2),
    number(result.cpuWithReceiver, 2),
    ratio(result, results),
    number(result.rssMb, 0),
    number(result.pssMb, 0),
    number(result.receiverRssMb, 0),
    milliseconds(result.fromChange),
    milliseconds(result.fromAnswer),
    number(result.wirePerReading, 2),
    number(result.diskPerReading, 1),
    number(result.lost, 0),
    number(result.twice, 0),
  ]);
  return aligned([...head, ...rows]);
}

function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? "").length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          i === 0 ? String(cell).padEnd(widths[i] ?? 0) : String(cell).padStart(widths[i] ?? 0),
        )
        .join("  "),
    )
    .join("\n");
}

function atMost(
  workload: string,
  what: string,
  value: number | undefined,
  limit: number,
  unit: string,
  digits = 1,
): Target {
  return {
    workload,
    text: `${what} ≤ ${limit} ${unit}`,
    shown: number(value, digits),
    holds: value !== undefined && value <= limit,
    kind: "figure",
  };
}

function books({ name, lost = 0, twice = 0, outOfOrder = 0, notGood = 0 }: Result): Target {
  return {
    workload: name,
    text: "every number of every device at the receiver once, in order",
    shown: `${lost} lost, ${twice} twice, ${outOfOrder} out of order, ${notGood} not good`,
    holds: lost === 0 && twice === 0 && outOfOrder === 0,
    kind: "data",
  };
}

/** The promises that hold for the workloads that were run. */
export function targets(results: readonly Result[], flushMs: number): Target[] {
  return results.flatMap((result) => {
    const { name, outage, commands } = result;
    if (name.startsWith("floor")) return [];
    const list = [books(result)];
    if (name === "poll-200") {
      list.push(
        atMost(name, "CPU per 1,000 readings", result.cpu, 5, "ms", 2),
        atMost(name, "RSS of all processes", result.rssMb, 200, "MB", 0),
        atMost(name, "on the wire per reading", result.wirePerReading, 5, "B", 2),
      );
    }
    if (name === "flat-out" || name === "steady-500k") {
      const delivered = result.deliveredPerSecond ?? 0;
      list.push(
        {
          workload: name,
          text: "delivered ≥ 400,000 readings/s",
          shown: number(delivered, 0),
          holds: delivered >= 400_000,
          kind: "figure",
        },
        atMost(name, "CPU per 1,000 readings", result.cpu, 2.5, "ms", 2),
      );
    }
    if (result.pollGap !== undefined) {
      list.push(
        {
          workload: name,
          text: "the 40 healthy devices get 100 % of their polls",
          shown: `${number((result.healthyShare ?? 0) * 100, 2)} %`,
          holds: (result.healthyShare ?? 0) >= 1,
          kind: "figure",
        },
        atMost(name, "gap between polls p99", result.pollGap.p99, 1005, "ms"),
      );
    }
    if (outage !== undefined) {
      list.push(
        atMost(name, "live latency while it drains p99", outage.liveMeanwhile.p99, flushMs + 100, "ms", 0),
        atMost(name, "time error p99", outage.timeError.p99, 20, "ms"),
        atMost(name, "time error of the backlog p99", outage.timeErrorOfBacklog.p99, 20, "ms"),
      );
    }
    if (commands !== undefined)
      list.push(
        {
          workload: name,
          text: "each command executed once, and done",
          shown: `${commands.wrong} not so`,
          holds: commands.wrong === 0,
          kind: "data",
        },
        atMost(name, "round trip of a command p50", commands.done.p50, 10, "ms"),
      );
    return list;
  });
}

export function targetLines(list: readonly Target[]): string {
  return list
    .map(({ holds, workload, text, shown }) => `${holds ? "✓" : "✗"} ${workload}: ${text}: ${shown}`)
    .join("\n");
}

/** What does not fit into the table: gaps, outages, threads. */
export function details(results: readonly Result[]): string {
  return results
    .flatMap((result) => {
      const lines: string[] = [];
      const { name, pollGap, outage, commands, threads, farmCpu, polledPerSecond, rssMbEach } = result;
      if (threads !== undefined) {
        const list = Object.entries(threads).map(([thread, share]) => `${thread} ${number(share, 2)}`);
        lines.push(`${name}: CPU ms per 1,000 readings by thread: ${list.join(", ")}`);
      }
      if (rssMbEach.length > 1)
        lines.push(`${name}: RSS of each process ${rssMbEach.map((mb) => number(mb, 0)).join(" + ")} MB`);
      if (farmCpu !== undefined)
        lines.push(`${name}: the farm took ${number((farmCpu * polledPerSecond) / 10_000, 0)} % of a core`);
      if (result.messageBytes !== undefined) {
        lines.push(
          `${name}: ${number(result.messageBytes, 0)} B and ${number(result.readingsPerMessage, 0)} readings a message, ${number((result.fillShare ?? 0) * 100, 0)} % of them in lane fill`,
        );
      }
      if ((result.failedPolls ?? 0) > 0)
        lines.push(`${name}: ${result.failedPolls} polls failed and were not accepted`);
      if (pollGap !== undefined)
        lines.push(
          `${name}: gap between polls p50 ${number(pollGap.p50, 1)} p99 ${number(pollGap.p99, 1)} max ${number(pollGap.max, 1)} ms`,
        );
      if (commands !== undefined)
        lines.push(
          `${name}: ${commands.done.count} commands, accepted p50 ${number(commands.accepted.p50, 1)} p99 ${number(commands.accepted.p99, 1)} ms, ` +
            `done p50 ${number(commands.done.p50, 1)} p99 ${number(commands.done.p99, 1)} max ${number(commands.done.max, 1)} ms, ` +
            `of which from the write to the IOC p50 ${number(commands.told.p50, 1)} ms`,
        );
      if (outage !== undefined) {
        const {
          cutMs,
          reconnectMs,
          drainFromBackMs,
          drainFromReconnectMs,
          backlogReadings,
          liveMeanwhile,
          timeError,
        } = outage;
        lines.push(
          `${name}: ${outage.link} for ${number(cutMs / 1000, 1)} s, backlog ${number(backlogReadings, 0)} readings; ` +
            `session again ${number(reconnectMs / 1000, 2)} s after the link was back, drained ${number(drainFromBackMs / 1000, 2)} s after that moment, ` +
            `${number(drainFromReconnectMs / 1000, 2)} s after the reconnect`,
          `${name}: live meanwhile p50 ${number(liveMeanwhile.p50, 0)} p99 ${number(liveMeanwhile.p99, 0)} ms (${liveMeanwhile.count} polls); ` +
            `time error p50 ${number(timeError.p50, 1)} p99 ${number(timeError.p99, 1)} max ${number(timeError.max, 1)} ms`,
        );
      }
      return lines;
    })
    .join("\n");
}

/** The machine, for the reader of the figures. */
export function machine(): {
  cores: number;
  model: string;
  node: string;
  kernel: string;
  load: number;
  broker: string;
} {
  const list = cpus();
  return {
    cores: list.length,
    model: list[0]?.model ?? arch(),
    node: process.version,
    kernel: release(),
    load: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    broker:
      mosquittoPath() === undefined
        ? "the simulator's (mosquitto is not installed)"
        : "mosquitto, set_tcp_nodelay true",
  };
}
