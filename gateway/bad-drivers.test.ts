import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { describe, it, type TestContext } from "vitest";
import { EventReader } from "./event.ts";
import type { DeviceReport, HostDevice } from "./host/messages.ts";
import { Host, type HostOptions, type QuarantineNews } from "./hosts.ts";
import { FrameSplitter } from "./outbox/frames.ts";
import { pointLike } from "./host/test-point.ts";

/** One device of a driver misbehaves, in a real host: it has to be held back alone, and the others go on. */

type Finish = TestContext["onTestFinished"];

/** `badness` is the body of what the driver does for the device whose settings say so. */
function driverFolder(badness: string, onTestFinished: Finish, source?: string): string {
  const folder = mkdtempSync(join(tmpdir(), "kerb-driver-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(
    join(folder, "index.ts"),
    source ??
      `
      import { execFileSync } from "node:child_process";
      import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
      import { setTimeout as sleep } from "node:timers/promises";
      const fifo = ${JSON.stringify(join(folder, "fifo"))};
      const kept = [];
      let polls = 0;
      void [closeSync, execFileSync, existsSync, openSync, readFileSync, writeFileSync, writeSync, fifo, kept];
      async function misbehave() { polls++; ${badness} }
      export const driver = {
        name: "bad",
        describe: () => "",
        connect: async ({ isBad }) => ({
          identify: async () => ({}),
          read: async () => {
            await sleep(2);
            if (isBad) await misbehave();
            return { answers: [polls] };
          },
          close: async () => {},
        }),
      };
    `,
  );
  return relative(fileURLToPath(new URL("../drivers", import.meta.url)), folder);
}

const pollMs = 100;
const bad = 3;

const device = (index: number): HostDevice => ({
  id: `device-${index}`,
  index,
  settings: { isBad: index === bad },
  identify: undefined,
  firmwareRange: "*",
  records: [],
  silenceMs: 0,
  personalData: { how: "drop" as const },
  pollMs: { fast: pollMs, normal: pollMs, slow: pollMs },
  points: [pointLike({ name: "value", index })],
});

function start(badness: string, onTestFinished: Finish, more: Partial<HostOptions> = {}) {
  const reasons: string[] = [];
  const news: { id: string; news: QuarantineNews | undefined }[] = [];
  const polls = new Map<number, number>();
  const splitters = new Map<number, FrameSplitter>();
  const reader = new EventReader();
  const host = new Host({
    driver: driverFolder(badness, onTestFinished),
    devices: [1, 2, 3, 4, 5, 6].map((index) => device(index)),
    gatewayIndex: 9,
    log: pino({ level: "silent" }),
    beatTimeoutMs: 2500,
    frames: (stream, bytes) => {
      host.credit(stream, bytes.length);
      const splitter = splitters.get(stream) ?? new FrameSplitter();
      splitters.set(stream, splitter);
      for (const { body } of splitter.push(bytes)) {
        reader.open(body);
        if (reader.kind === "telemetry") polls.set(reader.device, (polls.get(reader.device) ?? 0) + 1);
      }
    },
    changed: () => {},
    failed: (reason) => reasons.push(reason),
    returned: () => {},
    quarantined: ({ id }, one) => news.push({ id, news: one }),
    ...more,
  });
  onTestFinished(() => host.stop());
  host.start();
  return { host, reasons, news, polls };
}

const kinds: [kind: string, badness: string, reason: RegExp, deathsMax: number][] = [
  ["an endless loop", "if (polls > 2) for (;;);", /no heartbeat/, 4],
  ["an endless chain of promises", "while (polls > 2) await undefined;", /no heartbeat/, 4],
  [
    "a read on a FIFO",
    'if (polls === 3) { execFileSync("mkfifo", [fifo + process.pid]); readFileSync(fifo + process.pid); }',
    /no heartbeat/,
    4,
  ],
  ["a Buffer leak", "kept.push(Buffer.alloc(12e6, 1));", /MB of memory/, 4],
  [
    "a crash",
    'if (polls > 2) setTimeout(() => process.kill(process.pid, "SIGSEGV"), 1);',
    /signal SIGSEGV/,
    4,
  ],
  [
    "an error out of a timer",
    'if (polls > 2) setTimeout(() => { throw new Error("too late"); }, 20);',
    /exit status 1: too late/,
    3,
  ],
  [
    "an unhandled rejection",
    'if (polls > 2) void Promise.reject(new Error("nobody cares"));',
    /exit status 1: nobody cares/,
    3,
  ],
  ["an end of the process", "if (polls > 2) process.exit(0);", /exit status 0/, 3],
  [
    "a crash now and then",
    'if (Math.random() < 0.2) process.kill(process.pid, "SIGSEGV");',
    /signal SIGSEGV/,
    4,
  ],
];

describe("a device whose driver code ends the host again and again", () => {
  it.concurrent.for(kinds)(
    "$0: is held back alone",
    { timeout: 100_000 },
    async ([, badness, reason, deathsMax], { expect, onTestFinished }) => {
      const isSilent = reason.test("no heartbeat");
      const { host, reasons, news, polls } = start(badness, onTestFinished, {
        rssBytesMax: 250e6,
        // A host that dies by itself must not be taken for a silent one on a busy machine.
        beatTimeoutMs: isSilent ? 2500 : 15_000,
      });
      await expect.poll(() => news.length, { timeout: 55_000 }).toBe(1);
      expect(news[0]?.id).toBe(`device-${bad}`);
      expect(news[0]?.news?.reason).toMatch(reason);
      expect(reasons.length).toBeLessThanOrEqual(deathsMax);
      for (const one of reasons) expect(one).toMatch(reason);
      await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
      const reports = (await host.request({ name: "devices" })) as DeviceReport[];
      expect(reports.map(({ id }) => id)).not.toContain(`device-${bad}`);
      await expect(host.request({ name: "latest", device: `device-${bad}` })).rejects.toThrow(
        /runs no device/,
      );
      // A busy machine may cost polls of its own: one window in which none is missing is proof enough.
      const shares = async () => {
        const before = new Map(polls);
        const fromMs = performance.now();
        await sleep(2000);
        const due = (performance.now() - fromMs) / pollMs;
        const others = [1, 2, 4, 5, 6];
        return Math.min(...others.map((index) => ((polls.get(index) ?? 0) - (before.get(index) ?? 0)) / due));
      };
      await expect.poll(shares, { timeout: 30_000 }).toBeGreaterThanOrEqual(0.9);
      expect(news.length).toBe(1);
      expect(host.status.restarts).toBe(reasons.length);
    },
  );

  it.concurrent(
    "is tried again without a new start of the host, and held for longer",
    { timeout: 60_000 },
    async ({ expect, onTestFinished }) => {
      const badness = 'if (polls > 2) void Promise.reject(new Error("nobody cares"));';
      const { host, reasons, news } = start(badness, onTestFinished, {
        trialFirstMs: 2500,
        beatTimeoutMs: 15_000,
      });
      await expect.poll(() => news.length, { timeout: 40_000 }).toBe(1);
      const pausedMs = (news[0]?.news?.untilMs ?? 0) - Date.now();
      await expect.poll(() => news.length, { timeout: 40_000 }).toBeGreaterThanOrEqual(2);
      expect(news[1]).toEqual({ id: `device-${bad}`, news: undefined });
      await expect.poll(() => news.length, { timeout: 40_000 }).toBe(3);
      expect(news[2]?.news?.reason).toMatch(/its host ended 4 times/);
      expect((news[2]?.news?.untilMs ?? 0) - Date.now()).toBeGreaterThan(pausedMs + 1000);
      // Three deaths before, and one in the trial: letting it go has cost none.
      expect(reasons.length).toBe(4);
      await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
    },
  );

  it.concurrent(
    "is found where several devices share a wire that another one has opened",
    { timeout: 60_000 },
    async ({ expect, onTestFinished }) => {
      const { reasons, news } = start("", onTestFinished, {
        driver: driverFolder("", onTestFinished, sharedWire),
        beatTimeoutMs: 15_000,
      });
      await expect.poll(() => news.length, { timeout: 40_000 }).toBe(1);
      expect(news[0]?.id).toBe(`device-${bad}`);
      expect(reasons.length).toBeLessThanOrEqual(4);
    },
  );
});

describe("a driver that spoils the pipe of its host", () => {
  it.concurrent.for([
    ["writes into it", 'writeSync(4, "debug: 12 V\\n")', /writes into the pipe/],
    [
      "writes half an event into it",
      "writeSync(4, Buffer.from([90, 0, 0, 0, 1, 1, 0]))",
      /writes into the pipe/,
    ],
    [
      "closes it, and its number becomes another file's",
      'closeSync(4); openSync("/dev/null", "w")',
      /closed the pipe/,
    ],
  ] as const)(
    "$0: its host starts anew, nobody is held back, and what it hands over are events again",
    { timeout: 60_000 },
    async ([, badness, reason], { expect, onTestFinished }) => {
      const folder = mkdtempSync(join(tmpdir(), "kerb-driver-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      const once = JSON.stringify(join(folder, "once"));
      const { host, reasons, news, polls } = start(
        `if (polls > 2 && !existsSync(${once})) { writeFileSync(${once}, ""); ${badness}; }`,
        onTestFinished,
        { beatTimeoutMs: 15_000 },
      );
      await expect.poll(() => reasons.length, { timeout: 30_000 }).toBe(1);
      expect(reasons[0]).toMatch(reason);
      await expect.poll(() => host.status.state, { timeout: 10_000 }).toBe("running");
      const before = new Map(polls);
      const hasMore = () => [1, 2, 3, 4, 5, 6].every((i) => (polls.get(i) ?? 0) > (before.get(i) ?? 0) + 3);
      await expect.poll(hasMore, { timeout: 20_000 }).toBe(true);
      expect([reasons.length, news]).toEqual([1, []]);
    },
  );
});

/** Answers come out of a timer that the first device's connect has started. */
const sharedWire = `
  let wire;
  const waiting = [];
  function answer() {
    const request = waiting.shift();
    if (request?.isBad) process.kill(process.pid, "SIGSEGV");
    request?.resolve({ answers: [1] });
  }
  export const driver = {
    name: "wire",
    describe: () => "",
    line: () => "wire",
    connect: async ({ isBad }) => {
      wire ??= setInterval(answer, 5);
      return {
        identify: async () => ({}),
        read: () => new Promise((resolve) => waiting.push({ isBad, resolve })),
        close: async () => {},
      };
    },
  };
`;
