import { grouped, mebibytes, span } from "../text.ts";
import type { Language } from "../config/error-texts.ts";
import { type ErrorCode, printable } from "../errors.ts";
import { plain, said } from "../diagnosis/facts.ts";
import { foldDevices, type Folded } from "../diagnosis/fold.ts";
import { deviceCause, groupCause, storageCause, uplinkCause } from "./causes.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { sentenceInVietnamese } from "../config/vietnamese.ts";
import { reasonInVietnamese } from "../generations/vietnamese.ts";

/** What `kerb health`, `/healthz` and `/readyz` judge: pure functions of the gateway's status at one moment. */

export type HealthState = "ok" | "warn" | "bad";

export interface HealthCheck {
  check: "config" | "loop" | "outbox" | "disk" | "clock" | "uplink" | "host" | "devices" | "device";
  /** Which uplink, driver or device. */
  object?: string;
  state: HealthState;
  seen: Record<Language, string>;
  /** Title, likely cause and cure stand in the table of errors. */
  code?: ErrorCode;
  /** Devices that are lost together with what this is about. */
  behind?: string[];
  /** What the gateway is not while this is so: alive (a restart may help) or ready to accept events. */
  stops?: "alive" | "ready";
}

const loopWarnMs = 1000;
const loopBadMs = 5000;
/** A worker that deletes a backlog or salvages a file may be busy for so long. */
const outboxBadMs = 10_000;
const fillWarn = 0.7;
/** From here on the oldest telemetry is dropped. */
const fillBad = 0.9;
/** Beside the file itself: journal and checkpoint. */
const diskSpareBytes = 16 * 1024 ** 2;
const connectGraceMs = 10_000;
const hostGraceMs = 30_000;
const deviceGraceMs = 60_000;
const hostSilentMs = 4000;
const memoryWarn = 0.85;
/** Five intervals of acknowledgement. */
const custodyWarnMs = 300_000;
const devicesShownMax = 20;

function loopCheck({ loop: { maxMs } }: GatewayStatus): HealthCheck {
  const pause = `${grouped(maxMs)} ms`;
  const seen = {
    en: `longest pause ${pause} in the last seconds`,
    vi: `lần dừng lâu nhất ${pause} trong vài giây qua`,
  };
  if (maxMs < loopWarnMs) return { check: "loop", state: "ok", seen };
  const isBad = maxMs >= loopBadMs;
  return {
    check: "loop",
    state: isBad ? "bad" : "warn",
    seen,
    code: "KERB-GW-LOOP",
    ...(isBad ? { stops: "alive" } : {}),
  };
}

function outboxCheck({ outbox, outboxSilentMs }: GatewayStatus): HealthCheck {
  if (outboxSilentMs > 0) {
    const seen = {
      en: `no answer for ${span(outboxSilentMs)}`,
      vi: `không phản hồi đã ${span(outboxSilentMs)}`,
    };
    const isBad = outboxSilentMs >= outboxBadMs;
    return {
      check: "outbox",
      state: isBad ? "bad" : "warn",
      seen,
      code: "KERB-OUT-STUCK",
      stops: isBad ? "alive" : "ready",
    };
  }
  if (outbox.failure !== undefined) {
    const code = storageCause(outbox.failure);
    return { check: "outbox", state: "bad", seen: plain(printable(outbox.failure)), code, stops: "ready" };
  }
  if (outbox.quarantined !== undefined) {
    const seen = {
      en: `a damaged file was put aside: ${outbox.quarantined}`,
      vi: `tệp hỏng đã được cất riêng: ${outbox.quarantined}`,
    };
    return { check: "outbox", state: "warn", seen, code: "KERB-OUT-DAMAGED" };
  }
  const waiting = grouped(outbox.books.event.kept + outbox.books.live.kept);
  const seen = {
    en: `takes events, ${waiting} wait for the IOC`,
    vi: `đang nhận sự kiện, ${waiting} sự kiện chờ IOC`,
  };
  return { check: "outbox", state: "ok", seen };
}

function diskCheck({ outbox, diskFreeBytes }: GatewayStatus): HealthCheck {
  const percent = `${Math.round(outbox.fill * 100)} %`;
  const size = mebibytes(outbox.bytesMax);
  const free = diskFreeBytes === undefined ? undefined : mebibytes(diskFreeBytes);
  const seen = {
    en: `${percent} of ${size} in use${free === undefined ? "" : `, the disk has ${free} left`}`,
    vi: `đã dùng ${percent} của ${size}${free === undefined ? "" : `, đĩa còn ${free}`}`,
  };
  const found = (state: HealthState, code: ErrorCode): HealthCheck => ({ check: "disk", state, seen, code });
  // What the outbox has just said of the disk is not said twice.
  if (outbox.failure !== undefined) return { check: "disk", state: "bad", seen };
  if (diskFreeBytes !== undefined && diskFreeBytes < 1024 ** 2) return found("bad", "KERB-OUT-DISK-FULL");
  if (outbox.fill >= fillBad) return found("bad", "KERB-OUT-EVICTED");
  if (outbox.fill >= fillWarn) return found("warn", "KERB-OUT-BUDGET");
  const neededBytes = Math.max(0, outbox.bytesMax - outbox.bytes) + Math.min(diskSpareBytes, outbox.bytesMax);
  if (diskFreeBytes !== undefined && diskFreeBytes < neededBytes) return found("warn", "KERB-OUT-SPACE");
  return { check: "disk", state: "ok", seen };
}

function clockCheck({ gateway: { clock } }: GatewayStatus, nowMs: number): HealthCheck {
  const time = new Date(nowMs).toISOString().replace("T", " ").slice(0, 19);
  if (clock === "synced") {
    const seen = { en: "set by the time service", vi: "được dịch vụ thời gian chỉnh" };
    return { check: "clock", state: "ok", seen };
  }
  const seen = { en: `shows ${time} UTC`, vi: `đang chỉ ${time} UTC` };
  return clock === "unsynced"
    ? { check: "clock", state: "bad", seen, code: "KERB-CLOCK-UNSYNCED" }
    : { check: "clock", state: "warn", seen, code: "KERB-CLOCK-UNPROVED" };
}

/** Nothing is said of a configuration that is as it should be. */
function configChecks({ config, configuration }: GatewayStatus): HealthCheck[] {
  const { safeMode, reverted, filesDiffer, generation, twin } = configuration ?? {};
  if (safeMode !== undefined) {
    const [first] = safeMode.mistakes;
    const where = (message: string) =>
      first === undefined ? config : `${first.file}:${first.line}: ${message}`;
    const { message = "" } = first ?? {};
    const seen = {
      en: `generation ${generation} runs; ${where(message)}`,
      vi: `đang chạy bản ${generation}; ${where(sentenceInVietnamese(message))}`,
    };
    return [{ check: "config", state: "bad", seen, code: "KERB-CFG-SAFE-MODE" }];
  }
  const [wrong] = twin?.misfit === true ? twin.errors : [];
  if (wrong !== undefined) {
    const seen = plain(`twin: ${printable(wrong.text)}`);
    return [{ check: "config", state: "warn", seen, code: "KERB-TWIN-MISFIT" }];
  }
  const isOpen = filesDiffer === true || reverted?.reason.includes("; a secret stays") === true;
  if (reverted === undefined || !isOpen) return [];
  const seen = {
    en: `generation ${reverted.generation}, ${generation} runs: ${reverted.reason}`,
    vi: `bản ${reverted.generation}, đang chạy bản ${generation}: ${reasonInVietnamese(reverted.reason)}`,
  };
  return [{ check: "config", state: "warn", seen, code: "KERB-CFG-REVERTED" }];
}

type Uplink = GatewayStatus["uplinks"][number];

function linkDown(uplink: Uplink, status: GatewayStatus, nowMs: number): HealthCheck {
  const object = uplink.id;
  const since = span(nowMs - uplink.sinceMs);
  if (uplink.reason === undefined && nowMs - status.gateway.startedMs < connectGraceMs) {
    return { check: "uplink", object, state: "ok", seen: { en: "connecting", vi: "đang kết nối" } };
  }
  const reason = said(uplink.reason ?? uplink.url);
  const seen = {
    en: `not connected for ${since}: ${reason.en}`,
    vi: `mất kết nối đã ${since}: ${reason.vi}`,
  };
  return { check: "uplink", object, state: "bad", seen, code: uplinkCause(reason.en) };
}

function uplinkCheck(uplink: Uplink, status: GatewayStatus, nowMs: number): HealthCheck {
  if (uplink.state !== "connected") return linkDown(uplink, status, nowMs);
  const { outbox } = status;
  const object = uplink.id;
  const kept = outbox.books.event.kept + outbox.books.live.kept;
  const heardMs = Math.max(uplink.lastAcknowledgementMs ?? 0, uplink.sinceMs);
  const lag = span(outbox.oldestMs === undefined ? 0 : nowMs - outbox.oldestMs);
  const seen = {
    en: `connected for ${span(nowMs - uplink.sinceMs)}, the IOC is ${lag} behind`,
    vi: `đã kết nối ${span(nowMs - uplink.sinceMs)}, IOC nhận trễ ${lag}`,
  };
  if (uplink.receiver === "offline" || (kept > 0 && nowMs - heardMs > custodyWarnMs)) {
    return { check: "uplink", object, state: "warn", seen, code: "KERB-UP-NO-CUSTODY" };
  }
  if (uplink.reason !== undefined) {
    const reason = said(uplink.reason);
    const refused = { en: `${seen.en}: ${reason.en}`, vi: `${seen.vi}: ${reason.vi}` };
    return { check: "uplink", object, state: "warn", seen: refused, code: uplinkCause(reason.en) };
  }
  return { check: "uplink", object, state: "ok", seen };
}

function uplinkChecks(status: GatewayStatus, nowMs: number): HealthCheck[] {
  if (status.uplinks.length > 0) return status.uplinks.map((uplink) => uplinkCheck(uplink, status, nowMs));
  const seen = { en: "none in the site file", vi: "tệp cấu hình không có" };
  return [{ check: "uplink", state: "warn", seen, code: "KERB-UP-NONE" }];
}

type Host = GatewayStatus["hosts"][number];

function hostCheck(host: Host, { gateway }: GatewayStatus, nowMs: number): HealthCheck {
  const found = { check: "host" as const, object: host.driver };
  if (host.state === "waiting" || host.state === "stopped") {
    const reason = printable(host.reason ?? host.state);
    const seen = {
      en: `ended (${reason}), started again ${host.restarts} times`,
      vi: `đã dừng (${reason}), đã chạy lại ${host.restarts} lần`,
    };
    return { ...found, state: "bad", seen, code: "KERB-HOST-ENDED", stops: "ready" };
  }
  if (host.state === "starting") {
    const isNew = nowMs - gateway.startedMs < hostGraceMs;
    const seen = { en: "starting", vi: "đang khởi động" };
    return isNew
      ? { ...found, state: "ok", seen, stops: "ready" }
      : { ...found, state: "warn", seen, code: "KERB-HOST-ENDED", stops: "ready" };
  }
  if (host.silentMs > hostSilentMs) {
    const seen = { en: `silent for ${span(host.silentMs)}`, vi: `im lặng đã ${span(host.silentMs)}` };
    return { ...found, state: "bad", seen, code: "KERB-HOST-SILENT", stops: "ready" };
  }
  const memory = `${mebibytes(host.rssBytes)} / ${mebibytes(host.rssBytesMax)}`;
  const seen = {
    en: `runs, memory ${memory}, ${host.restarts} restarts`,
    vi: `đang chạy, bộ nhớ ${memory}, ${host.restarts} lần chạy lại`,
  };
  if (host.strangers > 0) {
    const last = host.lastStranger ?? "";
    seen.en += `, refused ${grouped(host.strangers)} calls of unknown devices, the last "${last}"`;
    seen.vi += `, từ chối ${grouped(host.strangers)} cuộc gọi của thiết bị lạ, cuối cùng là "${last}"`;
  }
  return host.rssBytes > memoryWarn * host.rssBytesMax
    ? { ...found, state: "warn", seen, code: "KERB-HOST-MEMORY" }
    : { ...found, state: "ok", seen };
}

type Device = GatewayStatus["devices"][number];

function deviceCheck(device: Device, nowMs: number): HealthCheck {
  const { id, reason } = device;
  const last =
    device.lastGoodMs === undefined
      ? { en: "never read since the start", vi: "chưa đọc được lần nào" }
      : {
          en: `last read ${span(nowMs - device.lastGoodMs)} ago`,
          vi: `đọc được cách đây ${span(nowMs - device.lastGoodMs)}`,
        };
  const because = reason === undefined ? plain("") : said(`: ${reason}`);
  const name = printable(device.name);
  const code = deviceCause(device.code);
  return {
    check: "device",
    object: id,
    state: "bad",
    seen: { en: `${name}, ${last.en}${because.en}`, vi: `${name}, ${last.vi}${because.vi}` },
    ...(code === undefined ? {} : { code }),
  };
}

/** Devices that went together are one finding. */
function groupCheck({ kind, at, devices }: Folded, nowMs: number): HealthCheck {
  const behind = devices.map(({ id }) => id);
  const since = span(nowMs - Math.min(...devices.map(({ sinceMs }) => sinceMs)));
  return {
    check: "device",
    object: at,
    state: "bad",
    seen: {
      en: `${behind.length} devices lost together for ${since}`,
      vi: `${behind.length} thiết bị cùng mất liên lạc đã ${since}`,
    },
    code: groupCause(kind),
    behind,
  };
}

function deviceChecks({ devices, hosts }: GatewayStatus, nowMs: number, shownMax: number): HealthCheck[] {
  const enabled = devices.filter((device) => device.enabled);
  const online = enabled.filter(({ state }) => state === "online");
  const isNew = ({ state, sinceMs }: Device) => state === "starting" && nowMs - sinceMs < deviceGraceMs;
  const starting = enabled.filter(isNew);
  // A device that pushes only what happens may rightly say nothing for days.
  const listening = enabled.filter(({ state }) => state === "listening");
  const down = enabled.filter(
    (device) => device.state !== "online" && device.state !== "listening" && !isNew(device),
  );
  const more = plain("");
  const add = (count: number, en: string, vi: string) => {
    if (count === 0) return;
    more.en += `, ${count} ${en}`;
    more.vi += `, ${count} ${vi}`;
  };
  add(listening.length, "listening", "đang lắng nghe");
  add(starting.length, "starting", "đang khởi động");
  const seen = {
    en: `${online.length} of ${enabled.length} online${more.en}`,
    vi: `${online.length} trên ${enabled.length} trực tuyến${more.vi}`,
  };
  // What is the host's fault is said there, once.
  const dead = new Set(hosts.filter(({ state }) => state !== "running").map(({ driver }) => driver));
  const groups = foldDevices(devices.filter(({ driver }) => !dead.has(driver)));
  const folded = new Set(groups.flatMap((group) => group.devices));
  const own = down.filter((device) => !dead.has(device.driver) && !folded.has(device));
  return [
    { check: "devices", state: down.length > 0 ? "bad" : "ok", seen },
    ...groups.slice(0, shownMax).map((group) => groupCheck(group, nowMs)),
    ...own.slice(0, shownMax).map((device) => deviceCheck(device, nowMs)),
  ];
}

/** Every check in a fixed order; of the devices only those that are not online, `shownMax` at most. */
export function healthChecks(
  status: GatewayStatus,
  nowMs: number,
  shownMax = devicesShownMax,
): HealthCheck[] {
  return [
    loopCheck(status),
    outboxCheck(status),
    diskCheck(status),
    clockCheck(status, nowMs),
    ...configChecks(status),
    ...uplinkChecks(status, nowMs),
    ...status.hosts.map((host) => hostCheck(host, status, nowMs)),
    ...deviceChecks(status, nowMs, shownMax),
  ];
}

/** The worst of all. */
export function worstState(checks: readonly HealthCheck[]): HealthState {
  if (checks.some(({ state }) => state === "bad")) return "bad";
  return checks.some(({ state }) => state === "warn") ? "warn" : "ok";
}

/**
 * Why the gateway is not alive, or not ready, as sentences; empty when it is. Links to the IOC and devices count for
 * neither: events wait in the outbox, and no restart brings a device back.
 */
export function reasonsNot(what: "alive" | "ready", checks: readonly HealthCheck[]): string[] {
  return checks
    .filter(({ stops }) => stops === "alive" || (stops === "ready" && what === "ready"))
    .map(({ check, object, seen }) => `${object === undefined ? check : `${check} ${object}`}: ${seen.en}`);
}
