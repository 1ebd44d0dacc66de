import { span } from "../cli/text.ts";
import type { DeviceConfig } from "../config.ts";
import type { DevicePlace, Facts, Failure, Rung } from "../driver.ts";
import { printable } from "../printable.ts";
import { diagnosisOf } from "./knowledge.ts";
import { type Diagnosed, plain, type Step, type Text, type Verdict } from "./facts.ts";
import { type Known, knownFacts, pollEveryMs, valueFacts } from "./history.ts";
import { knock, lookAtPort, resolveName } from "./reach.ts";
import { placeText } from "./places.ts";
import { causeOf, doubtsOf } from "./rules.ts";
import { rungOf, rungOrder } from "./rungs.ts";
import { type Heard, talk } from "./talk.ts";
import { rulesOf } from "./causes.ts";
import { upstreamCause, upstreamStep } from "./upstream.ts";

/** What is to be climbed: a device as the site file has it, or as it would stand there. */
export interface Climb {
  device: DeviceConfig;
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
  /** Longest wait for an answer that comes later than the site file allows, ms (8000). */
  patientMs?: number;
  /** Longest wait for one answer where a driver looks further, ms (the driver's own). */
  askMs?: number;
}

const reachMsDefault = 3000;
const listenMsDefault = 4000;
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
  readonly #place: DevicePlace | undefined;
  readonly #rungs: Rung[];
  readonly steps: Step[] = [];

  constructor(climb: Climb, place: DevicePlace | undefined) {
    this.#climb = climb;
    this.#place = place;
    this.#rungs = rungsOf(place);
    if (place !== undefined) this.facts["place"] = placeText(place);
    if (place?.unit !== undefined) this.facts["unit"] = place.unit;
    if (place?.over === "serial") this.facts["line.settings"] = place.line;
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
  upTo(rung: Rung, evidence: Text): Step[] {
    const below = this.#rungs.filter((one) => rungOrder.indexOf(one) < rungOrder.indexOf(rung));
    return below.flatMap((one) => this.step(one, "ok", evidence));
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
      yield* this.step("network", "failed", {
        en: `no address is known for the name ${place.host}`,
        vi: `không tìm thấy địa chỉ của tên ${place.host}`,
      });
      return;
    }
    // A question that nobody answers is the only way to try a port of UDP.
    if (place.over === "udp") return;
    const { reached, ms } = await knock(place.host, place.port, reachMs, signal);
    Object.assign(this.facts, { "net.tcp": reached, "net.tcpMs": ms });
    yield* this.knocked(placeText(place), reached, ms);
  }

  *knocked(where: string, reached: string, ms: number): Generator<Step> {
    const place = this.#place;
    const host = place !== undefined && "host" in place ? place.host : where;
    if (reached === "open" || reached === "refused")
      yield* this.step(
        "network",
        "ok",
        {
          en: `${host} answers in ${Math.max(1, Math.round(ms))} ms`,
          vi: `${host} trả lời sau ${Math.max(1, Math.round(ms))} ms`,
        },
        ms,
      );
    if (reached === "open")
      yield* this.step("port", "ok", { en: `${where} takes connections`, vi: `${where} nhận kết nối` }, ms);
    else if (reached === "refused")
      yield* this.step("port", "failed", {
        en: `${where} refuses connections`,
        vi: `${where} từ chối kết nối`,
      });
    else
      yield* this.step("network", "failed", {
        en: reached === "timeout" ? `no answer from ${where} within ${span(ms)}` : `no way to ${where}`,
        vi:
          reached === "timeout" ? `${where} không trả lời trong ${span(ms)}` : `không có đường tới ${where}`,
      });
  }

  /** It is lost, and how: the rung is the driver's to say, or follows of the code. */
  async *fell(failure: Failure, at: "connect" | "read" | "gateway"): AsyncGenerator<Step> {
    const { device, siblings, signal, stateFolder, askMs } = this.#climb;
    const driver = await diagnosisOf(device.driver);
    Object.assign(this.facts, { error: failure.code, message: failure.message, "error.at": at });
    Object.assign(this.facts, driver?.facts(failure, device.settings));
    if (failure.code === "silent" && at === "connect") Object.assign(this.facts, await this.#wait());
    const others = siblings.filter((one) => one.driver === device.driver).map(({ settings }) => settings);
    const isFree = at !== "gateway" || this.mayAsk();
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
      const seen = await driver
        .look(device.settings, { failure, others, context, signal, askMs })
        .catch(() => ({}));
      Object.assign(this.facts, seen);
    }
    const rung = this.#rungOf(failure);
    yield* this.#below(rung);
    yield* this.step(rung, "failed", plain(printable(failure.message)));
  }

  /** A device that answers, but later than the site file allows, is not silent. */
  async #wait(): Promise<Facts> {
    const { device, patientMs: patientMsMax = patientMsDefault } = this.#climb;
    const place = this.#place;
    const timeoutMs = device.settings["timeout"];
    const isAsked =
      place !== undefined && place.over !== "calls" && !("shared" in place && place.shared === "broker");
    if (typeof timeoutMs !== "number" || !isAsked) return {};
    const patientMs = Math.min(4 * timeoutMs, patientMsMax);
    if (patientMs <= timeoutMs) return {};
    const patient = { ...device, settings: { ...device.settings, timeout: patientMs } };
    const startedMs = performance.now();
    const outcome = await talk(patient, this.#climb, 0);
    if ("failure" in outcome) return {};
    const tookMs = Math.min(performance.now() - startedMs, outcome.ms ?? Infinity);
    return { "late.answerMs": Math.round(Math.max(tookMs, timeoutMs)), "late.timeoutMs": timeoutMs };
  }

  #rungOf({ code }: Failure): Rung {
    const likely = rungOf(this.facts, code);
    // A rung that was seen to bear cannot be the one that broke.
    const bears = this.steps.some((one) => one.step === likely && one.verdict === "ok");
    const wanted = bears || !this.#rungs.includes(likely) ? "protocol" : likely;
    return this.#rungs.includes(wanted) ? wanted : "values";
  }

  /** What the failure says of the rungs below it. */
  *#below(rung: Rung): Generator<Step> {
    const lineAnswers = this.facts["line.answers"];
    const mate = this.facts["samePlace.example"];
    for (const one of this.#rungs.filter((below) => rungOrder.indexOf(below) < rungOrder.indexOf(rung))) {
      if (one === "line" && rung === "protocol") {
        const other = lineAnswers ?? mate;
        yield* other === undefined
          ? this.step("line", "unknown", {
              en: "no other unit on this line to compare with",
              vi: "không có unit nào khác trên đường truyền để so sánh",
            })
          : this.step("line", "ok", {
              en: `${String(other)} on the same line answers: wiring and line settings are right`,
              vi: `${String(other)} trên cùng đường truyền trả lời: dây và thông số đường truyền đúng`,
            });
      } else if (one === "network" && this.#place?.over === "udp" && this.facts["error"] === "silent")
        yield* this.step("network", "unknown", {
          en: "UDP: a host that is silent cannot be told from a question that it ignores",
          vi: "UDP: không phân biệt được máy im lặng với câu hỏi bị bỏ qua",
        });
      else yield* this.step(one, "ok", passed(one));
    }
  }

  /** Whether a second connection can neither disturb the gateway's own nor be disturbed by it. */
  mayAsk(): boolean {
    const place = this.#place;
    if (this.#climb.known === undefined) return true;
    if (place === undefined || place.over === "serial" || place.over === "calls") return false;
    return Number(this.facts["samePlace.online"] ?? 0) === 0 || place.shared === "broker";
  }

  /** It has answered: who it is, and what it tells. */
  *answered({ identity, mismatch, doubt, readings, ms }: Heard): Generator<Step> {
    const facts = this.facts;
    Object.assign(facts, valueFacts(readings));
    const { vendor, model, firmware, serial } = identity;
    const who = [vendor, model, firmware && `fw ${firmware}`, serial && `no. ${serial}`]
      .filter(Boolean)
      .join(" ");
    if (firmware !== undefined) facts["firmware"] = firmware;
    facts["firmware.range"] = this.#climb.device.firmwareRange;
    yield* this.upTo("identity", passed("protocol"));
    if (mismatch !== undefined) {
      facts["identity.mismatch"] = mismatch;
      yield* this.step("identity", "failed", plain(printable(mismatch)));
      return;
    }
    const isOther = facts["unit.doubt"] === "other-unit";
    if (doubt !== undefined) facts["identity.doubt"] = doubt;
    yield* this.step(
      "identity",
      who === "" ? "unknown" : doubt === undefined && !isOther ? "ok" : "failed",
      doubt !== undefined || isOther
        ? plain(printable(doubt ?? String(facts["unit.reason"])))
        : who === ""
          ? { en: "it says nothing of itself", vi: "thiết bị không tự giới thiệu" }
          : plain(printable(who)),
    );
    yield* this.#values(ms);
  }

  *#values(ms: number | undefined): Generator<Step> {
    const [total, heard, bad] = ["total", "heard", "bad"].map((name) =>
      Number(this.facts[`values.${name}`] ?? 0),
    );
    const good = (heard ?? 0) - (bad ?? 0);
    const isMute = heard === 0;
    const verdict = isMute ? (total === 0 ? "unknown" : "failed") : good === 0 ? "failed" : "ok";
    if (verdict === "failed") this.facts["values.none"] = true;
    const left = (total ?? 0) - (heard ?? 0);
    const shown =
      left === 0
        ? { en: `${good} of ${total} points read`, vi: `đọc được ${good} trên ${total} điểm` }
        : {
            en: `${good} of ${total} points read, ${left} it tells by itself and has not told yet`,
            vi: `đọc được ${good} trên ${total} điểm, ${left} điểm thiết bị tự gửi và chưa gửi`,
          };
    const nothing = { en: "nothing was heard of it yet", vi: "chưa nghe thấy gì từ thiết bị" };
    yield* this.step("values", verdict, isMute ? nothing : shown, ms);
  }

  done(): Diagnosed {
    const { device } = this.#climb;
    const { failed, facts, steps } = this;
    const rules = rulesOf(device.driver);
    if (failed !== undefined) facts["rung"] = failed;
    else delete facts["rung"];
    const isAnswering = failed === undefined || failed === "upstream";
    const cause = isAnswering ? upstreamCause(this.#climb.known) : causeOf(rules, failed, facts);
    const causes = [...(cause === undefined ? [] : [cause]), ...(isAnswering ? doubtsOf(rules, facts) : [])];
    return { device: device.id, steps, ...(failed === undefined ? {} : { failed }), causes, facts };
  }
}

function passed(rung: Rung): Text {
  return rung === "login"
    ? { en: "not in the way", vi: "không cản trở" }
    : rung === "port"
      ? { en: "opens", vi: "mở được" }
      : { en: "answers", vi: "có trả lời" };
}

function portText(path: string, port: string): Text {
  if (port === "denied") return { en: `no permission for ${path}`, vi: `không có quyền với ${path}` };
  if (port === "no-port") return { en: `${path} is no serial port`, vi: `${path} không phải cổng nối tiếp` };
  return { en: `there is no port ${path}`, vi: `không có cổng ${path}` };
}

/** How the gateway has it, where that is better than asking a device that is already being read. */
function heardByGateway({ status, readings }: Known, id: string): Heard | undefined {
  const device = status.devices.find((one) => one.id === id);
  if (device === undefined || !["online", "listening"].includes(device.state)) return undefined;
  const { identity = {}, unwritable } = device;
  const doubt = unwritable?.code === "firmware-unknown" ? unwritable.reason : undefined;
  return { identity, mismatch: undefined, doubt, readings: [...readings], ms: device.lastReadMs };
}

/**
 * Climbs the ladder of one device, rung by rung, and gives each as it is known; in the end what follows of them.
 * Reads only. A device that the running gateway reads is not asked again: its gateway knows.
 */
export async function* climbLadder(climb: Climb): AsyncGenerator<Step, Diagnosed> {
  const { device, known, signal } = climb;
  const driver = await diagnosisOf(device.driver);
  const climber = new Climber(climb, driver?.place(device.settings));
  if (known !== undefined) Object.assign(climber.facts, knownFacts(device.id, known, pollEveryMs(device)));
  climber.facts["isEnabled"] = device.enabled;
  const heard = known === undefined ? undefined : heardByGateway(known, device.id);
  if (heard === undefined) yield* tried(climber, climb);
  else {
    const told = { en: "the gateway reads it", vi: "gateway đang đọc được" };
    yield* climber.upTo("identity", told);
    yield* climber.answered(heard);
    Object.assign(climber.facts, await worksWith(climb, heard));
  }
  if (climber.failed === undefined && !signal.aborted) yield* climber.step(...upstreamStep(known));
  yield* climber.skipRest();
  return climber.done();
}

/** What the driver sees in the values of a device that answers. */
async function worksWith({ device }: Climb, { readings }: Heard): Promise<Facts> {
  const driver = await diagnosisOf(device.driver);
  return driver?.healthy?.(readings, device.settings) ?? {};
}

/** A device that no gateway reads now: the way to it first, then its own words. */
async function* tried(climber: Climber, climb: Climb): AsyncGenerator<Step> {
  const { device, known, listenMs = listenMsDefault } = climb;
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
    const evidence = {
      en: "the gateway has the line to itself and does not know more yet",
      vi: "gateway đang giữ đường truyền và chưa biết thêm",
    };
    yield* climber.step("protocol", "unknown", evidence);
    return;
  }
  const outcome = await talk(device, climb, listenMs);
  if ("failure" in outcome) yield* climber.fell(outcome.failure, "connect");
  else {
    if (before !== undefined) climber.facts["isBack"] = true;
    yield* climber.answered(outcome);
    Object.assign(climber.facts, await worksWith(climb, outcome));
  }
}
