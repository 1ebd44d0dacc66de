import { DeviceError, type Answer } from "../../gateway/driver.ts";
import { writeChecksum } from "./checksum.ts";
import { FrameCollector, PromptCollector } from "./collector.ts";
import type { Whole } from "./deframer.ts";
import { Deframer } from "./deframer.ts";
import { answerOf, isFrom, tell, type Told } from "./frame.ts";
import type { Request } from "./grammar.ts";
import type { Collector, Line, Listener } from "./line.ts";
import * as sdi12 from "./sdi12.ts";
import type { Settings } from "./settings.ts";

/** What one request brought: gives the value of a field, or why there is none. */
export type Values = (item: string | undefined, field: string, raw: boolean) => Answer;

/** A request that was not answered, and whether anything came at all. */
export interface Unanswered {
  readonly strayBytes: number;
  readonly text: string;
}

const servicePatienceMs = 300;
/** Time that the values take once they are there. */
const fetchMs = 500;

/** Asks one instrument on its line. */
export class Asking {
  readonly #line: Line;
  readonly #settings: Settings;
  readonly #stop: AbortSignal;
  /** When the call has to be over, on the clock of `performance.now()`: a measurement that takes longer is not awaited. */
  readonly #untilMs: number;

  constructor(line: Line, settings: Settings, untilMs: number, stop: AbortSignal) {
    this.#line = line;
    this.#untilMs = untilMs;
    this.#settings = settings;
    this.#stop = stop;
  }

  /** Brings the instrument to where it takes requests; undefined = it is there. */
  async wake(): Promise<Unanswered | undefined> {
    for (const { send, answer } of this.#settings.grammar.wake) {
      const sent = Buffer.from(send, "latin1");
      const collector = new PromptCollector(answer, sent);
      if (!(await this.#exchange(sent, collector)))
        return { strayBytes: collector.heardBytes, text: "the wake-up" };
    }
    return undefined;
  }

  /** Sends a request and takes its answer. Rejects with what `stop` was aborted with, `hung-up` or `garbage`. */
  ask(name: string, request: Request): Promise<Values | Unanswered> {
    return request.sdi12 === undefined
      ? this.#askFrame(name, request)
      : this.#measure(request.sdi12, request.flags);
  }

  async #askFrame(
    name: string,
    { send = "", answer = "", lines, quiet, check }: Request,
  ): Promise<Values | Unanswered> {
    const { grammar, station, zone } = this.#settings;
    const frame = grammar.frames[answer]!;
    const sent = sentBytes(send, this.#settings, check);
    const collector: FrameCollector<Told> = new FrameCollector<Told>(
      grammar.framing,
      sent,
      lines,
      (whole) => {
        const told = tell(answer, frame, whole, zone);
        if (told === undefined || !isFrom(told, station)) return undefined;
        // Of several rows the newest counts, whichever comes last.
        const before = collector.result;
        return before?.timeMs !== undefined && (told.timeMs ?? 0) < before.timeMs ? before : told;
      },
    );
    await this.#exchange(sent, collector, lines, quiet);
    const told = collector.result;
    if (told === undefined) return { strayBytes: collector.heardBytes, text: `request ${name}` };
    return (item, field, raw) =>
      answerOf(told, item === "{station}" ? station : item, field, raw) ?? {
        value: null,
        status: "bad",
        code: "left-out",
        reason: `the answer has no ${field}`,
      };
  }

  /** SDI-12: start, wait for the service request or the time that the sensor gave, fetch. */
  async #measure(command: string, flags: Request["flags"]): Promise<Values | Unanswered> {
    const { framing } = this.#settings.grammar;
    const station = this.#settings.station || "0";
    const watch = new ServiceWatch(new Deframer(framing), station);
    const stopWatching = this.#line.listen(watch);
    try {
      const text = `${station}${command}!`;
      const promised = await this.#line12(text, ({ text: heard }) => sdi12.promisedBy(heard, station));
      if ("strayBytes" in promised) return promised;
      const { seconds, count } = promised.result;
      if (count === 0) return refusing("sdi12-no-values", "the sensor does not serve this measurement");
      const leftMs = this.#untilMs - performance.now() - servicePatienceMs - fetchMs;
      if (seconds * 1000 > leftMs) return tooSlow(seconds, leftMs);
      if (seconds > 0) await watch.service(seconds * 1000 + servicePatienceMs, this.#stop);
      return await this.#fetch(station, count, command.startsWith("MC"), flags);
    } finally {
      stopWatching();
    }
  }

  async #fetch(
    station: string,
    count: number,
    hasChecksum: boolean,
    flags: Request["flags"],
  ): Promise<Values | Unanswered> {
    const values: string[] = [];
    let bytes: Uint8Array = new Uint8Array();
    for (let page = 0; page <= 9 && values.length < count; page++) {
      const answer = await this.#line12(
        `${station}D${page}!`,
        (whole) => {
          const found = sdi12.valuesOf(whole.text, station, hasChecksum);
          return found === undefined ? undefined : { found, whole };
        },
        // A bare address says "no values", or is a service request that comes late: the values may follow it.
        ({ found }) => found.length > 0,
      );
      if ("strayBytes" in answer) return answer;
      const { found, whole } = answer.result;
      if (found.length === 0) break;
      values.push(...found);
      bytes = Buffer.concat([bytes, whole.bytes]);
    }
    return (_, field, raw) => sdi12.answerOf(values, flags, field, raw ? bytes : undefined);
  }

  async #line12<Result>(
    text: string,
    accept: (whole: Whole) => Result | undefined,
    isLast: (result: Result) => boolean = () => true,
  ): Promise<{ result: Result } | Unanswered> {
    const sent = Buffer.from(text, "latin1");
    const collector = new FrameCollector(this.#settings.grammar.framing, sent, 2, accept, isLast);
    await this.#exchange(sent, collector, 1, servicePatienceMs);
    const { result, heardBytes } = collector;
    return result === undefined ? { strayBytes: heardBytes, text } : { result };
  }

  #exchange(send: Uint8Array, collector: Collector, lines = 1, quietMs = 0): Promise<boolean> {
    const { timeout: timeoutMs, grammar } = this.#settings;
    const answerBytesMax = grammar.framing.lengthMax * lines;
    return this.#line.exchange({ send, collector, timeoutMs, quietMs, answerBytesMax }, this.#stop);
  }
}

/** Notes a sensor's service request, which may come together with the answer that announces it. */
class ServiceWatch implements Listener {
  readonly #deframer: Deframer;
  readonly #station: string;
  #isServed = false;
  #wake: (() => void) | undefined;

  constructor(deframer: Deframer, station: string) {
    this.#deframer = deframer;
    this.#station = station;
  }

  bytes(bytes: Uint8Array): boolean {
    for (const { text } of this.#deframer.push(bytes)) this.#isServed ||= text === this.#station;
    if (this.#isServed) this.#wake?.();
    return false;
  }
  lost(): void {
    this.#wake?.();
  }

  /** Settles when the sensor is ready or its time is over. */
  async service(withinMs: number, stop: AbortSignal): Promise<void> {
    if (this.#isServed) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        stop.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, withinMs);
      stop.addEventListener("abort", wake);
      this.#wake = wake;
    });
    if (stop.aborted) throw stop.reason;
  }
}

const refusing =
  (code: string, reason: string): Values =>
  () => ({ value: null, status: "bad", code, reason });

function tooSlow(seconds: number, leftMs: number): Values {
  const left = Math.max(0, Math.floor(leftMs / 1000));
  return refusing("sdi12-too-slow", `the sensor takes ${seconds} s, and ${left} s are left for this read`);
}

/** The bytes of a request for one station. */
function sentBytes(send: string, { station, grammar }: Settings, check: Request["check"]): Buffer {
  const isNumber = /^\d+$/.test(station);
  const text = send.replaceAll(
    "{station}",
    isNumber ? station.padStart(grammar.stationDigits, "0") : station,
  );
  const at = text.indexOf("{check}");
  if (at < 0 || check === undefined) return Buffer.from(text, "latin1");
  const before = text.slice(0, at);
  const sum = writeChecksum(check, Buffer.from(before, "latin1"));
  return Buffer.from(before + sum + text.slice(at + "{check}".length), "latin1");
}

/** The error of a device that answered nothing that was asked. */
export function unanswered(place: string, { strayBytes, text }: Unanswered, timeoutMs: number): DeviceError {
  const where = `${place}: no answer to ${text} within ${timeoutMs} ms`;
  return strayBytes > 0
    ? new DeviceError("garbage", `${where}, only ${strayBytes} bytes that are none`)
    : new DeviceError("silent", where);
}
