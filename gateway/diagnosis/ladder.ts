import type { DeviceConfig } from "../config/config.ts";
import type { DevicePlace, Facts, Failure, Identity, Rung } from "../driver.ts";
import type { LatestReading } from "../host/messages.ts";
import { rulesOf } from "./causes.ts";
import {
  byGatewayText,
  knockedText,
  lineSeen,
  muteText,
  nameText,
  noGatewayText,
  passed,
  portText,
  silentUdpText,
  thereText,
  valuesSeen,
  whoText,
} from "./evidence.ts";
import { type Diagnosed, plain, said, type Step, type Text, type Verdict } from "./facts.ts";
import { isKnown, type Known, knownFacts, pollEveryMs, unitFacts, valueFacts } from "./history.ts";
import { diagnosisOf } from "./knowledge.ts";
import { placeFacts, placeText } from "./places.ts";
import { knock, lookAtPort, resolveName } from "./reach.ts";
import { causeOf, doubtsOf } from "./rules.ts";
import { rungOf, rungOrder } from "./rungs.ts";
import { type Heard, meet, type Met, talk } from "./talk.ts";
import { upstreamCause, upstreamStep } from "./upstream.ts";

/** What is to be climbed: a device as the site file has it, or as it would stand there. */
export interface Climb {
  device: DeviceConfig;
  /** Of one without profile and points: what it is taken for, once it has said who it is; undefined: nobody can tell. */
  choose?: (met: Met) => Promise<DeviceConfig | undefined>;
  stateFolder: string;
  /** The other devices of the site. */
  siblings: readonly DeviceConfig[];
  /** What the running gateway knows; absent: none runs, or it does not know this device. */
  known?: Known | undefined;
  signal: AbortSignal;
  /** Longest wait for a connection, ms (3000). */
  reachMs?: number;
  /** How long a device that tells by itself is listened to, ms (4000). */
  listenMs?: number;
  /** It is listened to until each of its points was heard, not only until anything was. */
  hearsAll?: boolean;
  /** Longest wait for an answer that comes later than the site file allows, ms (8000). */
  patientMs?: number;
  /** Longest wait for one answer where a driver looks further, ms (the driver's own). */
  askMs?: number;
  /** How long a silent serial line may be searched with other settings, ms; absent: not at all. */
  searchMs?: number;
  /** Called before that. */
  searching?: () => void;
}

const reachMsDefault = 3000;
const listenMsDefault = 4000;
/** Of a line on which nobody could be understood; what has failed otherwise was answered, or never sent. */
const unread: readonly string[] = ["silent", "garbage"];
/** No driver takes a longer `timeout` than all of them take. */
const patientMsDefault = 8000;

/** Which rungs a place has; one on a wire of its own has no line, one that calls no way there. */
function rungsOf(place: DevicePlace | undefined): Rung[] {
  const hasLine = place?.over === "serial" || (place?.over === "tcp" && place.shared === "line");
  const hasNetwork = place === undefined || place.over === "tcp" || place.over === "udp";
  return rungOrder.filter(
    (rung) =>
      (rung !== "network" || hasNetwork) &&
      (rung !== "line" || hasLine) &&
      (rung !== "port" || place?.over !== "udp") &&
      (rung !== "login" || place?.over !== "serial"),
  );
}

/** One climb: what was found so far, rung by rung. */
class Climber {
  readonly facts: Facts = {};
  readonly #climb: Climb;
  #device: DeviceConfig;
  #identity: Identity = {};
  #readings: readonly LatestReading[] = [];
  readonly #place: DevicePlace | undefined;
  readonly #rungs: Rung[];
  readonly steps: Step[] = [];

  constructor(climb: Climb, place: DevicePlace | undefined) {
    this.#climb = climb;
    this.#device = climb.device;
    this.#place = place;
    this.#rungs = rungsOf(place);
    if (place !== undefined) Object.assign(this.facts, placeFacts(place));
  }

  get failed(): Rung | undefined {
    return this.steps.find(({ verdict }) => verdict === "failed")?.step;
  }

  step(step: Rung, verdict: Verdict, evidence: Text, ms?: number): Step[] {
    if (!this.#rungs.includes(step) || this.steps.some((one) => one.step === step)) return [];
    const whole = { step, verdict, evidence, ...(ms === undefined ? {} : { ms: Math.round(ms) }) };
    this.steps.push(whole);
    return [whole];
  }

  /** Every rung below this one that nothing was said of bears, or there would have been no answer from above it. */
  upTo(rung: Rung, evidence: (one: Rung) => Text): Step[] {
    const below = this.#rungs.filter((one) => rungOrder.indexOf(one) < rungOrder.indexOf(rung));
    return below.flatMap((one) => this.step(one, "ok", evidence(one)));
  }

  /** The rungs above a failed one were not tried. */
  skipRest(): Step[] {
    return this.#rungs.flatMap((one) => this.step(one, "skipped", plain("")));
  }

  /** The way to it, without a word to the device. */
  async *reach(): AsyncGenerator<Step> {
    const place = this.#place;
    const { signal, reachMs = reachMsDefault } = this.#climb;
    if (place === undefined) return;
    if (place.over === "serial") {
      const port = await lookAtPort(place.path);
      this.facts["serial.port"] = port;
      if (port !== "ok") yield* this.step("port", "failed", portText(place.path, port));
      return;
    }
    if (place.over === "calls") return;
    Object.assign(this.facts, await resolveName(place.host, reachMs));
    if (this.facts["net.name"] === "unknown") {
      yield* this.step("network", "failed", nameText(place.host));
      return;
    }
    // A question that nobody answers is the only way to try a port of UDP.
    if (place.over === "udp") return;
    const { reached, ms } = await knock(place.host, place.port, reachMs, signal);
    Object.assign(this.facts, { "net.tcp": reached, "net.tcpMs": ms });
    const isThere = reached === "open" || reached === "refused";
    if (isThere) yield* this.step("network", "ok", thereText(place.host, ms), ms);
    const verdict = reached === "open" ? "ok" : "failed";
    yield* this.step(isThere ? "port" : "network", verdict, knockedText(placeText(place), reached, ms), ms);
  }

  /** What one without profile and points says that it is, and what it is taken for; true: it is known then. */
  async *recognised(): AsyncGenerator<Step, boolean> {
    const { choose } = this.#climb;
    if (choose === undefined) return true;
    const met = await meet(this.#device, this.#climb);
    if ("failure" in met) {
      yield* this.fell(met.failure, "connect");
      return false;
    }
    this.#identity = met.identity;
    if (!met.isMute) yield* this.upTo("login", passed);
    const chosen = await choose(met);
    if (chosen === undefined) {
      yield* met.isMute ? this.mute() : this.upTo("identity", passed);
      yield* this.step("identity", "failed", whoText(met.identity, this.#device).evidence);
      return false;
    }
    this.#device = chosen;
    return true;
  }

  /** A way leads to it, and not a word came back. */
  *mute(): Generator<Step> {
    yield* this.upTo("line", passed);
    yield* this.step("line", "unknown", lineSeen(undefined).evidence);
    yield* this.step("protocol", "unknown", muteText);
  }

  /** Its own words. */
  talk(): Promise<Heard | { failure: Failure }> {
    const { stateFolder, signal, listenMs = listenMsDefault, hearsAll = false } = this.#climb;
    const until = hearsAll ? "all" : "first";
    return talk(this.#device, { stateFolder, signal, waitMs: listenMs, until });
  }

  /** It is lost, and how: the rung is the driver's to say, or follows of the code. */
  async *fell(failure: Failure, at: "connect" | "read" | "gateway"): AsyncGenerator<Step> {
    const { siblings, signal, stateFolder, askMs, searchMs, searching } = this.#climb;
    const device = this.#device;
    const driver = await diagnosisOf(device.driver);
    Object.assign(this.facts, { error: failure.code, message: failure.message, "error.at": at });
    Object.assign(this.facts, driver?.facts(failure, device.settings));
    if (failure.code === "silent" && at === "connect") Object.assign(this.facts, await this.#wait());
    const others = siblings.filter((one) => one.driver === device.driver).map(({ settings }) => settings);
    const searched = this.#isDeadLine() && unread.includes(failure.code) ? searchMs : undefined;
    const isFree = at !== "gateway" || this.mayAsk() || searched !== undefined;
    if (
      driver?.look !== undefined &&
      isFree &&
      this.facts["late.answerMs"] === undefined &&
      this.failed === undefined &&
      !signal.aborted
    ) {
      const context = {
        deviceId: device.id,
        folder: `${stateFolder}/drivers/${device.driver}`,
        log: () => {},
      };
      if (searched !== undefined) searching?.();
      const seen = await driver
        .look(device.settings, { failure, others, context, signal, askMs, searchMs: searched })
        .catch(() => ({}));
      Object.assign(this.facts, seen);
    }
    const rung = this.#rungOf(failure);
    yield* this.#below(rung);
    yield* this.step(rung, "failed", said(failure.message));
  }

  /** A device that answers, but later than the site file allows, is not silent. */
  async #wait(): Promise<Facts> {
    const { stateFolder, signal, patientMs: patientMsMax = patientMsDefault } = this.#climb;
    const device = this.#device;
    const place = this.#place;
    const timeoutMs = device.settings["timeout"];
    const isAsked =
      place !== undefined && place.over !== "calls" && !("shared" in place && place.shared === "broker");
    if (typeof timeoutMs !== "number" || !isAsked) return {};
    const patientMs = Math.min(4 * timeoutMs, patientMsMax);
    if (patientMs <= timeoutMs) return {};
    const patient = { ...device, settings: { ...device.settings, timeout: patientMs } };
    const startedMs = performance.now();
    const outcome = await talk(patient, { stateFolder, signal, waitMs: 0, until: "first" });
    if ("failure" in outcome) return {};
    const tookMs = Math.min(performance.now() - startedMs, outcome.ms ?? Infinity);
    return { "late.answerMs": Math.round(Math.max(tookMs, timeoutMs)), "late.timeoutMs": timeoutMs };
  }

  #rungOf({ code }: Failure): Rung {
    const likely = rungOf(this.facts, code);
    // A rung that was seen to bear cannot be the one that broke.
    const isOpen = (rung: Rung) =>
      this.#rungs.includes(rung) && this.steps.every(({ step }) => step !== rung);
    return [likely, "protocol" as const].find(isOpen) ?? "values";
  }

  /** What the failure says of the rungs below it. */
  *#below(rung: Rung): Generator<Step> {
    const lineAnswers = this.facts["line.answers"];
    const mate = this.facts["samePlace.example"];
    for (const one of this.#rungs.filter((below) => rungOrder.indexOf(below) < rungOrder.indexOf(rung))) {
      if (one === "line" && rung === "protocol") {
        const { verdict, evidence } = lineSeen(lineAnswers ?? mate);
        yield* this.step("line", verdict, evidence);
      } else if (one === "network" && this.#place?.over === "udp" && this.facts["error"] === "silent")
        yield* this.step("network", "unknown", silentUdpText);
      else yield* this.step(one, "ok", passed(one));
    }
  }

  /** Whether a second connection can neither disturb the gateway's own nor be disturbed by it. */
  mayAsk(): boolean {
    const place = this.#place;
    if (!isKnown(this.#device.id, this.#climb.known)) return true;
    if (place === undefined || place.over === "serial" || place.over === "calls") return false;
    return Number(this.facts["samePlace.online"] ?? 0) === 0 || place.shared === "broker";
  }

  /** A serial port at which the gateway reads nobody: all there are lost, and to look costs them nothing. */
  #isDeadLine(): boolean {
    const others = Number(this.facts["samePlace.online"] ?? 0) + Number(this.facts["samePlace.unknown"] ?? 0);
    return this.#place?.over === "serial" && others === 0;
  }

  /** It has answered: who it is, and what it tells. */
  async *answered({ identity, mismatch, unwritable, readings, ms }: Heard): AsyncGenerator<Step> {
    const { facts } = this;
    const device = this.#device;
    Object.assign(facts, valueFacts(readings), unitFacts(unwritable));
    this.#identity = identity;
    this.#readings = readings;
    if (identity.firmware !== undefined) facts["firmware"] = identity.firmware;
    facts["firmware.range"] = device.firmwareRange;
    yield* this.upTo("identity", passed);
    if (mismatch !== undefined) {
      facts["identity.mismatch"] = mismatch;
      yield* this.step("identity", "failed", said(mismatch));
      return;
    }
    if (facts["unit.doubt"] === "other-unit")
      yield* this.step("identity", "failed", said(String(facts["unit.reason"])));
    const { isTold, evidence } = whoText(identity, device);
    const isSure = isTold && facts["identity.doubt"] === undefined;
    yield* this.step("identity", isSure ? "ok" : "unknown", evidence);
    const values = valuesSeen(readings, facts["read.notAsked"] !== undefined);
    if (values.verdict === "failed") facts["values.none"] = true;
    yield* this.step("values", values.verdict, values.evidence, ms);
    const driver = await diagnosisOf(device.driver);
    Object.assign(facts, driver?.healthy?.(readings, device.settings));
  }

  done(): Diagnosed {
    const { failed, facts, steps } = this;
    const { id, driver } = this.#device;
    const rules = rulesOf(driver);
    if (failed !== undefined) facts["rung"] = failed;
    else delete facts["rung"];
    const isAnswering = failed === undefined || failed === "upstream";
    const cause = isAnswering ? upstreamCause(this.#climb.known) : causeOf(rules, failed, facts);
    const causes = [...(cause === undefined ? [] : [cause]), ...(isAnswering ? doubtsOf(rules, facts) : [])];
    const found = { identity: this.#identity, readings: this.#readings };
    return { device: id, steps, ...(failed === undefined ? {} : { failed }), causes, facts, ...found };
  }
}

/** How the gateway has it, where that is better than asking a device that is already being read. */
function heardByGateway({ status, readings }: Known, id: string): Heard | undefined {
  const device = status.devices.find((one) => one.id === id);
  if (device === undefined || !["online", "listening"].includes(device.state)) return undefined;
  const { identity = {}, unwritable, lastReadMs } = device;
  return { identity, mismatch: undefined, unwritable, readings: [...readings], ms: lastReadMs };
}

/**
 * Climbs the ladder of one device, rung by rung, and gives each as it is known; in the end what follows of them.
 * Reads only. A device that the running gateway reads is not asked again: its gateway knows.
 */
async function* climbLadder(climb: Climb): AsyncGenerator<Step, Diagnosed> {
  const { device, known, signal } = climb;
  const driver = await diagnosisOf(device.driver);
  const place = driver?.place(device.settings);
  const climber = new Climber(climb, place);
  if (known !== undefined)
    Object.assign(climber.facts, knownFacts(device.id, known, pollEveryMs(device), place));
  climber.facts["isEnabled"] = device.enabled;
  const heard = known === undefined ? undefined : heardByGateway(known, device.id);
  if (heard === undefined) yield* tried(climber, climb);
  else {
    yield* climber.upTo("identity", () => byGatewayText);
    yield* climber.answered(heard);
  }
  if (climber.failed === undefined && !signal.aborted) yield* climber.step(...upstreamStep(known));
  yield* climber.skipRest();
  return climber.done();
}

/** Climbs to the end; `told` gets each step as it is known. */
export async function climbed(climb: Climb, told: (step: Step) => void = () => {}): Promise<Diagnosed> {
  const climbing = climbLadder(climb);
  for (;;) {
    const { done, value } = await climbing.next();
    if (done === true) return value;
    told(value);
  }
}

/** A device that no gateway reads now: the way to it first, then its own words. */
async function* tried(climber: Climber, { device, known }: Climb): AsyncGenerator<Step> {
  const report = known?.status.devices.find(({ id }) => id === device.id);
  const before =
    report?.code === undefined ? undefined : { code: report.code, message: report.reason ?? report.code };
  yield* climber.reach();
  if (climber.failed !== undefined) return;
  // A login that was refused is not tried once more: three times lock many an account.
  if (before !== undefined && (!climber.mayAsk() || before.code === "denied")) {
    yield* climber.fell(before, "gateway");
    return;
  }
  if (!climber.mayAsk()) {
    yield* climber.step("protocol", "unknown", noGatewayText);
    return;
  }
  if (!(yield* climber.recognised())) return;
  const outcome = await climber.talk();
  if ("failure" in outcome) yield* climber.fell(outcome.failure, "connect");
  else {
    if (before !== undefined) climber.facts["isBack"] = true;
    yield* climber.answered(outcome);
  }
}
