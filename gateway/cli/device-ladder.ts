import { existsSync } from "node:fs";
import { connect, isIP } from "node:net";
import type { DeviceConfig } from "../config.ts";
import { driverSchemas } from "../config/drivers.ts";
import { NotRunningError } from "../control.ts";
import { plain, type Step, type Text } from "../diagnosis/facts.ts";
import { DeviceError, type Identity, type Rung, socketErrorCode } from "../driver.ts";
import { deviceErrorCode, type ErrorCode } from "../errors.ts";
import { closed } from "../host/identify.ts";
import type { LatestReading } from "../host/messages.ts";
import { type Match, rankProfiles } from "../profile-match.ts";
import type { GatewayStatus } from "../supervisor.ts";
import { ladderWords as words } from "./device-words.ts";
import { FieldDevice, openAny } from "./field.ts";
import { library } from "./identify.ts";
import { hear } from "./listen.ts";
import { askOnce, SilentError } from "./site.ts";
import { span } from "./text.ts";

/** The ladder that a new device climbs before it is saved: from the cable up to the centre. Only reads. */

/** What the climb has brought. `code` and `seen`: of the rung that failed. */
export interface Climbed {
  steps: Step[];
  failed?: { step: Rung; code: ErrorCode; seen: Text };
  identity: Identity;
  /** The profiles of its driver, the best first: of a device that has none yet. */
  matches: Match[];
  /** Settings without which it does not say who it is. */
  needed: Record<string, unknown>;
  device: DeviceConfig | undefined;
  readings: LatestReading[];
}

/** How a device is climbed to. */
export interface Climb {
  /** Without a profile and points it is asked who it is first, and `choose` says what it is then. */
  device: DeviceConfig;
  choose?: (
    identity: Identity,
    matches: readonly Match[],
    needed: Record<string, unknown>,
  ) => Promise<DeviceConfig | undefined>;
  stateFolder: string;
  /** Of the gateway. */
  socket: string;
  report: (step: Step) => void;
  signal: AbortSignal;
}

const probeMs = 3000;
const pushWaitMs = 10_000;
const order: readonly Rung[] = ["network", "port", "protocol", "identity", "values", "upstream"];

/** "12 ms", "1.4 s": a step is told apart from the next by less than a second. */
const took = (ms: number): string =>
  ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;

/** Tries whether a TCP port opens, and closes it again. */
function probe(host: string, port: number): Promise<DeviceError | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (error?: DeviceError) => {
      socket.destroy();
      resolve(error);
    };
    socket.setTimeout(probeMs, () => end(new DeviceError("silent", `no answer within ${probeMs / 1000} s`)));
    socket.once("connect", () => socket.end());
    socket.once("close", (isError) => !isError && end());
    socket.once("error", (error) =>
      end(new DeviceError(socketErrorCode(error) ?? "unreachable", error.message)),
    );
  });
}

/** One climb, rung by rung. */
class Climber {
  readonly #way: Climb;
  readonly #result: Climbed;
  #rungMs = performance.now();

  constructor(way: Climb) {
    this.#way = way;
    this.#result = { steps: [], identity: {}, matches: [], needed: {}, device: undefined, readings: [] };
  }

  async climb(): Promise<Climbed> {
    const { socket, signal } = this.#way;
    try {
      await this.#place();
      await this.#talk();
    } catch (error) {
      if (!(error instanceof DeviceError) || signal.aborted) throw error;
      const isLogin = error.code === "denied" && this.#next() === "protocol";
      if (isLogin) this.#ok("protocol", words.speaks(this.#way.device.driver));
      this.#fail(isLogin ? "login" : this.#next(), error);
    }
    for (const step of order.slice(0, -1)) this.#skip(step);
    this.#step("upstream", await upstream(socket));
    return this.#result;
  }

  /** The lowest rung of which nothing is known yet. */
  #next(): Rung {
    return order.find((step) => this.#result.steps.every((one) => one.step !== step)) ?? "values";
  }

  #step(step: Rung, { verdict, evidence }: Pick<Step, "verdict" | "evidence">): void {
    const ms = Math.round(performance.now() - this.#rungMs);
    this.#rungMs = performance.now();
    const told: Step = { step, verdict, evidence, ...(verdict === "skipped" ? {} : { ms }) };
    this.#result.steps.push(told);
    this.#way.report(told);
  }

  #ok(step: Rung, evidence: Text): void {
    this.#step(step, { verdict: "ok", evidence });
  }

  #fail(step: Rung, error: DeviceError, evidence = plain(error.message)): void {
    this.#result.failed = { step, code: deviceErrorCode(error.code), seen: plain(error.message) };
    this.#step(step, { verdict: "failed", evidence });
  }

  #skip(step: Rung, evidence = plain("")): void {
    if (this.#result.steps.some((one) => one.step === step)) return;
    this.#step(step, { verdict: "skipped", evidence });
  }

  /** The network and the port, where there is something to knock at. */
  async #place(): Promise<void> {
    const { settings, driver } = this.#way.device;
    const { wire } = await driverSchemas(driver);
    const way = wire?.(settings as never);
    if (way?.over === "serial") {
      this.#skip("network", words.serial);
      if (!existsSync(way.path)) throw new DeviceError("refused", `there is no port ${way.path}`);
      return this.#ok("port", words.lineThere(way.path));
    }
    if (way === undefined || !("host" in way) || way.over === "udp" || way.over === "calls") {
      this.#skip("network", way?.over === "calls" ? words.calls : words.notAsked);
      return this.#skip("port", way?.over === "calls" ? words.calls : words.notAsked);
    }
    const { host, port } = way;
    const startedMs = performance.now();
    const error = await probe(host, port);
    const isThere = error === undefined || ["refused", "hung-up"].includes(error.code);
    if (!isThere) {
      const isName = isIP(host) === 0 && /ENOTFOUND|EAI_AGAIN/.test(error.message);
      return this.#failed("network", error, isName ? words.noName(host) : words.noHost(host, error.message));
    }
    this.#ok("network", words.there(host, took(performance.now() - startedMs)));
    if (error !== undefined) return this.#failed("port", error, words.closedPort(port));
    this.#ok("port", words.openPort(port));
  }

  #failed(step: Rung, error: DeviceError, evidence: Text): void {
    this.#fail(step, error, evidence);
  }

  async #talk(): Promise<void> {
    if (this.#result.failed !== undefined) return;
    const { device, choose } = this.#way;
    const isKnown = device.profile !== undefined || device.points.length > 0 || device.records.length > 0;
    const known = isKnown ? device : await this.#recognised(choose);
    if (known === undefined) return;
    this.#result.device = known;
    await this.#read(known, isKnown);
  }

  /** Who a device without a profile is, and what it is then taken for. */
  async #recognised(choose: Climb["choose"]): Promise<DeviceConfig | undefined> {
    const { device, stateFolder, signal } = this.#way;
    const { open, isMute, needed } = await openAny(device, stateFolder, signal);
    await closed(open.connection);
    const { identity } = open.found;
    this.#result.identity = identity;
    this.#result.needed = needed;
    this.#result.matches = rankProfiles(identity, device.driver, library(device.driver));
    this.#ok("protocol", isMute ? words.mute(device.driver) : words.speaks(device.driver));
    const chosen = await choose?.(identity, this.#result.matches, needed);
    if (chosen === undefined) {
      const said = words.who(identity);
      this.#fail("identity", new DeviceError("unsupported", said.en), said);
      return undefined;
    }
    return chosen;
  }

  async #read(device: DeviceConfig, isFirst: boolean): Promise<void> {
    const { stateFolder, signal } = this.#way;
    const field = await FieldDevice.open(device, stateFolder, signal);
    try {
      if (isFirst) this.#ok("protocol", words.speaks(device.driver));
      this.#identify(device, field);
      if (this.#result.failed !== undefined) return;
      const startedMs = performance.now();
      const first = await field.read({ points: [], raw: false }, signal);
      const talker = {
        get records() {
          return field.records;
        },
        tellsRecords: device.records.length > 0,
        silenceMs: device.silenceMs,
        read: (inner: AbortSignal, names: readonly string[] = []) =>
          field.read({ points: names, raw: false }, inner),
      };
      const hearing = { device: device.id, waitMs: pushWaitMs, forRecords: false, isTalkative: false };
      const readings = await hear(talker, first, { ...hearing, language: "en" });
      this.#values(readings, performance.now() - startedMs);
    } finally {
      await field.close();
    }
  }

  #identify(device: DeviceConfig, { identity, mismatch, doubt }: FieldDevice): void {
    if (Object.keys(identity).length > 0) this.#result.identity = identity;
    const said = words.who(this.#result.identity);
    if (mismatch !== undefined)
      return this.#fail("identity", new DeviceError("unsupported", mismatch), words.otherModel(mismatch));
    const { serial } = device;
    const other = serial !== undefined && identity.serial !== undefined && !isSame(serial, identity.serial);
    if (other) {
      const evidence = words.otherUnit(serial, identity.serial ?? "");
      return this.#fail("identity", new DeviceError("unsupported", evidence.en), evidence);
    }
    const evidence = words.taken(said, device.profile, device.firmwareRange, doubt);
    this.#step("identity", { verdict: doubt === undefined ? "ok" : "unknown", evidence });
  }

  #values(readings: LatestReading[], ms: number): void {
    this.#result.readings = readings;
    const good = readings.filter(({ status, unheard }) => status === "good" && unheard !== true);
    const odd = readings.filter((reading) => !good.includes(reading));
    const unheard = odd.filter((reading) => reading.unheard === true);
    const evidence = words.values(good.length, readings.length, odd, unheard.length, took(ms));
    if (readings.length > 0 && good.length === 0 && unheard.length < readings.length)
      return this.#fail("values", new DeviceError("rejected", evidence.en), evidence);
    this.#step("values", { verdict: odd.length === 0 ? "ok" : "unknown", evidence });
  }
}

const isSame = (a: string, b: string): boolean => a.trim().toUpperCase() === b.trim().toUpperCase();

/** Whether what the gateway accepts reaches the centre. */
async function upstream(socket: string): Promise<Pick<Step, "verdict" | "evidence">> {
  let status: GatewayStatus;
  try {
    status = await askOnce<GatewayStatus>(socket, { verb: "status" });
  } catch (error) {
    if (!(error instanceof NotRunningError) && !(error instanceof SilentError)) throw error;
    return { verdict: "unknown", evidence: words.noGateway };
  }
  const { uplinks, outbox } = status;
  if (uplinks.length === 0) return { verdict: "unknown", evidence: words.noUplink };
  const nowMs = Date.now();
  const up = uplinks.find(({ state, receiver }) => state === "connected" && receiver !== "offline");
  const waiting = outbox.books.event.kept + outbox.books.live.kept;
  if (up === undefined) {
    const { id, reason = "", sinceMs } = uplinks[0]!;
    return { verdict: "failed", evidence: words.uplinkDown(id, span(nowMs - sinceMs), reason, waiting) };
  }
  const ackMs = up.lastAcknowledgementMs;
  if (ackMs === undefined) return { verdict: "unknown", evidence: words.unacknowledged(up.id) };
  return { verdict: "ok", evidence: words.acknowledged(up.id, span(nowMs - ackMs)) };
}

/** Climbs the ladder with a device and tells each step as it is done. Aborted, it throws. */
export async function climb(way: Climb): Promise<Climbed> {
  return new Climber(way).climb();
}
