import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** What the kernel counts of a process and all its children. Bytes are of the disk's write-back. */
export interface Usage {
  cpuMs: number;
  rssBytes: number;
  pssBytes: number;
  writtenBytes: number;
  /** RSS of each process, the supervisor first. */
  rssBytesEach: number[];
}

/** Bytes of one process's TCP connections to a port, as they would be on Ethernet. */
export interface WireBytes {
  payload: number;
  packets: number;
}

const tickMs = 10;
/** IPv4 20, TCP 20, its time stamps 12. */
const packetHeadBytes = 52;
const segmentBytesMax = 1448;

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** A process and all its descendants that are alive. */
export function processTree(pid: number): number[] {
  const children = threads(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}

function threads(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** CPU time of a process, with its threads and the children it has waited for. */
function cpuMs(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * tickMs;
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
}

export function usageOf(pid: number): Usage {
  const usage: Usage = { cpuMs: 0, rssBytes: 0, pssBytes: 0, writtenBytes: 0, rssBytesEach: [] };
  for (const one of processTree(pid)) {
    const memory = read(`/proc/${one}/smaps_rollup`);
    usage.cpuMs += cpuMs(one);
    const rssBytes = field(memory, "Rss") * 1024;
    usage.rssBytes += rssBytes;
    usage.rssBytesEach.push(rssBytes);
    usage.pssBytes += field(memory, "Pss") * 1024;
    usage.writtenBytes += field(read(`/proc/${one}/io`), "write_bytes");
  }
  return usage;
}

/** CPU ms of a process tree by process and kind of thread: shows which stage costs what. */
export function threadTimes(pid: number): Map<string, number> {
  const times = new Map<string, number>();
  processTree(pid).forEach((one, position) => {
    const owner = position === 0 ? "supervisor" : `host ${position}`;
    for (const thread of threads(one)) {
      const name = Number(thread) === one ? "main" : read(`/proc/${one}/task/${thread}/comm`).trim();
      const nanoseconds = Number(read(`/proc/${one}/task/${thread}/schedstat`).split(" ")[0] ?? 0);
      times.set(`${owner} ${name}`, (times.get(`${owner} ${name}`) ?? 0) + nanoseconds / 1e6);
    }
  });
  return times;
}

/** All TCP connections of a process to 127.0.0.1:`port`; undefined when `ss` is absent. */
export function wireBytes(pid: number, port: number): WireBytes | undefined {
  let text: string;
  try {
    text = execFileSync("ss", ["-tinpHO", "dport", "=", `:${port}`], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return undefined;
  }
  const sum: WireBytes = { payload: 0, packets: 0 };
  for (const line of text.split("\n")) {
    if (!line.includes(`pid=${pid},`)) continue;
    const [sent, received, segmentsOut, segmentsIn] = [
      "bytes_sent",
      "bytes_received",
      "segs_out",
      "segs_in",
    ].map((name) => Number(new RegExp(` ${name}:(\\d+)`).exec(line)?.[1] ?? 0)) as [
      number,
      number,
      number,
      number,
    ];
    sum.payload += sent + received;
    // The loopback's segments are longer than those of Ethernet.
    sum.packets +=
      Math.max(segmentsOut, sent / segmentBytesMax) + Math.max(segmentsIn, received / segmentBytesMax);
  }
  return sum;
}

/** Bytes between two counts, heads of the packets included. */
export function wireTotal(from: WireBytes, to: WireBytes): number {
  return to.payload - from.payload + (to.packets - from.packets) * packetHeadBytes;
}

export interface Spread {
  p50: number;
  p99: number;
  max: number;
  count: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN, count: sorted.length };
}
