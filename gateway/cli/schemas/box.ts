import { z } from "zod";
import { eventKinds } from "../../event.ts";
import { standingOutput } from "./config.ts";
import { anything, count, pointValue, text, timeMs, type VerbOutputs } from "./envelope.ts";

/** What verbs print of a running gateway. */

const clock = z.enum(["synced", "holdover", "unsynced"]);
const number = z.number();
const durations = z.strictObject({ counts: z.array(count), sumMs: number });
const identity = z.strictObject({
  vendor: text.optional(),
  model: text.optional(),
  firmware: text.optional(),
  serial: text.optional(),
  more: z.record(text, text).optional(),
});
const unwritable = z.strictObject({
  code: z.enum(["firmware-unknown", "firmware-untold", "other-unit", "unit-untold", "unit-unreadable"]),
  reason: text,
});
const books = z.strictObject({ accepted: count, delivered: count, kept: count, dropped: count });

/** Over the last ten minutes. */
const inflow = z.strictObject({ eventsPerS: number, bytesPerS: number });

const outbox = z.strictObject({
  epoch: count,
  lastSeq: count,
  books: z.strictObject({ event: books, live: books }),
  rows: count,
  bytes: count,
  bytesMax: count,
  fill: number.describe("share of the byte budget in use, 0 to 1"),
  oldestMs: timeMs.optional(),
  commits: durations,
  inflow,
  failure: text.optional(),
  quarantined: text.optional(),
  deadLetters: z.strictObject({
    counts: z.record(text, count),
    newest: z.array(
      z.strictObject({
        uplink: text,
        id: count,
        epoch: count,
        seq: count,
        reason: text,
        tries: count,
        refusedMs: timeMs,
      }),
    ),
  }),
  uplinks: z.record(
    text,
    z.strictObject({
      connected: z.boolean(),
      inFlight: count,
      backlogRows: count,
      batches: count,
      events: count,
      bytes: count,
      resent: count,
      refused: count,
      dead: count,
    }),
  ),
});

const uplink = z.strictObject({
  id: text,
  url: text,
  encoding: text,
  custody: z.literal("C3"),
  state: z.enum(["connected", "connecting", "waiting", "stopped"]),
  sinceMs: timeMs,
  session: count,
  reason: text.optional(),
  receiver: z.enum(["online", "offline", "unknown"]),
  lastAcknowledgementMs: timeMs.optional(),
  bytesWritten: count,
  bytesRead: count,
});

const host = z.strictObject({
  driver: text,
  pid: count.optional(),
  state: z.enum(["starting", "running", "waiting", "stopped"]),
  restarts: count,
  reason: text.optional(),
  rssBytes: count,
  cpuMs: number,
  dropped: z.record(text, count),
  strangers: count,
  lastStranger: text.optional(),
  silentMs: number,
  rssBytesMax: count,
});

const unit = text.optional();
const place = z.union([
  z.strictObject({
    over: z.enum(["tcp", "udp"]),
    host: text,
    port: count,
    shared: z.enum(["line", "broker"]).optional().describe("several devices live there"),
    unit,
  }),
  z.strictObject({ over: z.literal("serial"), path: text, line: text, unit }),
  z.strictObject({ over: z.literal("calls"), host: text, port: count, unit }),
]);

/** A schedule of a point and how it stands; `unknown`: no gateway runs. */
export const scheduleOutput = z.strictObject({
  point: text,
  value: pointValue.nullable().describe("null: it says nothing now"),
  sinceMs: timeMs.optional(),
  untilMs: timeMs.optional(),
  state: z.enum(["kept", "due", "leased", "ordered", "held", "unknown"]),
  problem: text.optional(),
  reason: text.optional(),
});

const device = z.strictObject({
  id: text,
  name: text,
  driver: text,
  profile: text.optional(),
  enabled: z.boolean(),
  state: z.enum(["starting", "listening", "online", "lost", "wrong-device", "quarantined"]),
  code: text.optional(),
  reason: text.optional(),
  sinceMs: timeMs,
  lastGoodMs: timeMs.optional(),
  identity: identity.optional(),
  writable: z.boolean(),
  unwritable: unwritable.optional(),
  polls: count,
  answered: count,
  failed: count,
  missed: count,
  lastReadMs: number,
  reads: durations,
  schedules: z.array(scheduleOutput).optional(),
  place: place.optional().describe("what is behind one place fails together"),
});

const status = z.strictObject({
  gateway: z.strictObject({
    id: text,
    name: text,
    city: text,
    version: text,
    pid: count,
    startedMs: timeMs,
    clock,
    rssBytes: count,
    cpuMs: number,
  }),
  loop: z.strictObject({ p50Ms: number, p99Ms: number, maxMs: number }),
  config: text,
  configuration: standingOutput.optional(),
  outbox,
  outboxSilentMs: number,
  diskFreeBytes: count.optional(),
  uplinks: z.array(uplink),
  hosts: z.array(host),
  devices: z.array(device),
});

const checkName = z.enum([
  "config",
  "loop",
  "outbox",
  "disk",
  "clock",
  "uplink",
  "host",
  "devices",
  "device",
]);
const check = z.strictObject({
  check: checkName,
  object: text.optional(),
  state: z.enum(["ok", "warn", "bad"]),
  code: text.optional(),
  title: text.optional(),
  seen: text,
  likely: text.optional(),
  do: text.optional(),
  behind: z.array(text).optional().describe("devices that are lost together with it"),
});

const allBooks = z.strictObject({
  gateway: text,
  lines: z.array(
    z.strictObject({
      device: text,
      class: z.enum(["event", "live"]),
      accepted: count,
      delivered: count,
      kept: count,
      rows: count,
      dropped: z.record(text, count),
    }),
  ),
  closes: z.boolean(),
  tombstones: z.array(
    z.strictObject({
      epoch: count,
      first: count,
      last: count,
      reason: text,
      fromMs: timeMs,
      toMs: timeMs,
      reported: z.boolean(),
    }),
  ),
  tombstonesLeftOut: count,
  lost: z.record(text, count),
});

const event = z.strictObject({
  id: text.describe("gateway:epoch:seq"),
  gateway: text,
  epoch: count,
  seq: count,
  kind: z.enum(eventKinds),
  device: text,
  profile: text.optional(),
  timeMs,
  recordedMs: timeMs,
  clock,
  monoMs: number.optional(),
  toldMs: timeMs.optional(),
  readings: z
    .array(
      z.strictObject({
        point: text,
        unit: text,
        value: pointValue.nullable(),
        quality: count,
        detail: z.strictObject({ code: text.optional(), reason: text.optional() }).optional(),
        timeMs,
      }),
    )
    .optional(),
  data: anything.optional(),
});

const top = z.strictObject({
  timeMs,
  gateway: z.strictObject({ id: text, upMs: number, cpuPercent: number, rssBytes: count }),
  outbox: z.strictObject({
    kept: count,
    keptPerS: number.describe("grows, or shrinks, by so many a second"),
    acceptedPerS: number,
    fill: number.describe("share of the byte budget in use, 0 to 1"),
    bytesMax: count,
    oldestMs: number,
  }),
  uplinks: z.array(
    z.strictObject({
      id: text,
      state: uplink.shape.state,
      sinceMs: timeMs,
      receiver: uplink.shape.receiver,
      eventsPerS: number,
      acknowledgedAgoMs: number.optional(),
    }),
  ),
  hosts: z.array(
    z.strictObject({
      driver: text,
      state: host.shape.state,
      cpuPercent: number,
      rssBytes: count,
      restarts: count,
    }),
  ),
  devices: z
    .array(
      z.strictObject({
        id: text,
        state: device.shape.state,
        enabled: z.boolean(),
        pollsPerS: number,
        errorsPerS: number,
        lastReadMs: number,
        lastGoodAgoMs: number.optional(),
        code: text.optional(),
        reason: text.optional(),
      }),
    )
    .describe("the worst one first"),
});

export const outputs = {
  status: { status },
  health: {
    health: z.strictObject({ site: text, state: z.enum(["ok", "warn", "bad"]), checks: z.array(check) }),
  },
  books: { books: allBooks },
  tail: { event, "tail-statistics": z.strictObject({ seen: count, missed: count }) },
  top: { top },
  snapshot: {
    snapshot: z.strictObject({ file: text, device: text, type: text, taken: text, bytes: count }),
  },
} satisfies VerbOutputs;

export { checkName, identity as identityOutput, inflow as inflowOutput, unwritable as unwritableOutput };
