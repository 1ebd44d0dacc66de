import {
  DeviceError,
  type Answer,
  type DriverContext,
  type PointRequest,
  type Subscription,
} from "../../gateway/driver.ts";
import { courseOf } from "./course.ts";
import { Deframer, type Whole } from "./deframer.ts";
import { answerOf, isFrom, membersOf, tell, type Told } from "./frame.ts";
import type { Listener } from "./line.ts";
import type { Address, Settings } from "./settings.ts";

/** So much without one whole frame is not noise: it is another baud rate, or another device. */
const garbageBytesMin = 4096;
const garbageBytesMax = 8192;

interface Wanted {
  readonly index: number;
  readonly address: Address;
}

/** Bytes so far of no whole frame, and of frames that were too long. */
const noiseOf = ({ garbageBytes, oversized }: Deframer) => ({
  garbage: garbageBytes - oversized.bytes,
  tooLong: oversized.bytes,
});

/** Turns what an instrument tells by itself into readings and records. */
export class Listening implements Listener {
  readonly #settings: Settings;
  readonly #subscription: Subscription<Address>;
  readonly #lost: (error: DeviceError) => void;
  readonly #place: string;
  readonly #context: DriverContext;
  readonly #deframer: Deframer;
  readonly #points = new Map<string, Wanted[]>();
  readonly #records = new Map<string, { index: number; fields: readonly PointRequest<Address>[] }[]>();
  /** What of the line is remembered when this subscription is over. */
  readonly #whose: string;
  /** Bytes of none, and of frames that were too long, until the last whole frame. */
  #before = { garbage: 0, tooLong: 0 };

  constructor(
    settings: Settings,
    place: string,
    context: DriverContext,
    subscription: Subscription<Address>,
    lost: (error: DeviceError) => void,
  ) {
    this.#settings = settings;
    this.#place = place;
    this.#context = context;
    this.#whose = `${context.deviceId}\0${place}`;
    this.#subscription = subscription;
    this.#lost = lost;
    this.#deframer = new Deframer(settings.grammar.framing);
    subscription.points.forEach(({ address }, index) => {
      if (address.frame === undefined) subscription.sink.poll(index);
      else push(this.#points, address.frame, { index, address });
    });
    subscription.records.forEach(({ address, fields }, index) => {
      if (address.frame !== undefined) push(this.#records, address.frame, { index, fields });
    });
  }

  bytes(bytes: Uint8Array): boolean {
    const deframer = this.#deframer;
    const tooLongBefore = deframer.oversized.frames;
    let isTold = false;
    for (const whole of deframer.push(bytes)) {
      if (this.#subscription.signal.aborted) return isTold;
      const isKnown = this.#frame(whole);
      isTold ||= isKnown;
      if (isKnown || this.#isFrame(whole)) this.#before = noiseOf(deframer);
      else deframer.garbageBytes += whole.bytes.length;
    }
    if (deframer.oversized.frames > tooLongBefore) this.#sayTooLong();
    this.#checkGarbage();
    return isTold;
  }

  #checkGarbage(): void {
    const { lengthMax } = this.#settings.grammar.framing;
    const noise = noiseOf(this.#deframer);
    const garbage = noise.garbage - this.#before.garbage;
    const tooLong = noise.tooLong - this.#before.tooLong;
    const isNoise = garbage > Math.min(garbageBytesMax, Math.max(garbageBytesMin, 2 * lengthMax));
    if (!isNoise && tooLong <= Math.max(garbageBytesMin, 4 * lengthMax)) return;
    const text = `${this.#place}: ${garbage + tooLong} bytes came and no whole frame among them`;
    this.lost(new DeviceError("garbage", text));
  }

  #sayTooLong(): void {
    const { lengthMax } = this.#settings.grammar.framing;
    const { frames } = this.#deframer.oversized;
    const text = `${this.#place}: ${frames} so far longer than ${lengthMax} bytes, left out: raise grammar.framing.lengthMax`;
    this.#context.log("warn", text);
  }

  lost(error: DeviceError): void {
    this.#lost(error);
  }

  /** true: a frame that the grammar knows, whoever it is from. */
  #frame(whole: Whole): boolean {
    const { grammar, zone, station } = this.#settings;
    for (const [name, frame] of Object.entries(grammar.frames)) {
      const told = tell(name, frame, whole, zone);
      if (told === undefined) continue;
      if (isFrom(told, station)) this.#tell(told);
      return true;
    }
    return false;
  }

  /** A frame of a kind that nobody reads is no noise: its checksum is right, or it is JSON where JSON is spoken. */
  #isFrame({ text }: Whole): boolean {
    const { framing, frames } = this.#settings.grammar;
    if (framing.checksum !== undefined) return true;
    return Object.values(frames).some(({ split }) => split === "json") && membersOf(text) !== undefined;
  }

  #tell(told: Told): void {
    const { sink } = this.#subscription;
    sink.alive();
    const values = (this.#points.get(told.name) ?? []).flatMap(({ index, address }) => {
      const answer = this.#answer(told, address);
      return answer === undefined ? [] : [{ index, answer }];
    });
    if (values.length > 0) sink.readings(values);
    const records = this.#records.get(told.name);
    if (records === undefined) return;
    const course = courseOf(this.#whose, told.name);
    const missed = course.missedBefore(told);
    if (missed === "repeated") return;
    const settled = course.settled(told);
    if (settled === undefined) return;
    for (const { index, fields } of records) {
      const answers = fields.map(({ address }) =>
        address.field === "missed" ? missed : this.#answer(settled, address),
      );
      const about = settled.timeMs === undefined ? {} : { sourceTimeMs: settled.timeMs };
      sink.record(index, answers, about);
    }
  }

  #answer(told: Told, { item, field = "" }: Address): Answer | undefined {
    const answer = answerOf(told, item === "{station}" ? this.#settings.station : item, field, false);
    // An item that this frame does not have is in another one.
    return typeof answer === "object" && answer.code === "no-such-item" ? undefined : answer;
  }
}

function push<Item>(map: Map<string, Item[]>, key: string, item: Item): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [item]);
  else list.push(item);
}
