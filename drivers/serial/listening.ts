import { DeviceError, type Answer, type PointRequest, type Subscription } from "../../gateway/driver.ts";
import { courseOf } from "./course.ts";
import { Deframer, type Whole } from "./deframer.ts";
import { answerOf, isFrom, tell, type Told } from "./frame.ts";
import type { Listener } from "./line.ts";
import type { Address, Settings } from "./settings.ts";

/** So much without one whole frame is not noise: it is another baud rate, or another device. */
const garbageBytesMin = 4096;

interface Wanted {
  readonly index: number;
  readonly address: Address;
}

/** Turns what an instrument tells by itself into readings and records. */
export class Listening implements Listener {
  readonly #settings: Settings;
  readonly #subscription: Subscription<Address>;
  readonly #lost: (error: DeviceError) => void;
  readonly #place: string;
  readonly #deframer: Deframer;
  readonly #points = new Map<string, Wanted[]>();
  readonly #records = new Map<string, { index: number; fields: readonly PointRequest<Address>[] }[]>();
  /** What of the line is remembered when this subscription is over. */
  readonly #whose: string;
  #garbageBefore = 0;

  constructor(
    settings: Settings,
    place: string,
    deviceId: string,
    subscription: Subscription<Address>,
    lost: (error: DeviceError) => void,
  ) {
    this.#settings = settings;
    this.#place = place;
    this.#whose = `${deviceId}\0${place}`;
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

  bytes(bytes: Uint8Array): void {
    for (const whole of this.#deframer.push(bytes)) {
      if (this.#subscription.signal.aborted) return;
      if (this.#frame(whole)) this.#garbageBefore = this.#deframer.garbageBytes;
      else this.#deframer.garbageBytes += whole.bytes.length;
    }
    const limit = Math.max(garbageBytesMin, 2 * this.#settings.grammar.framing.lengthMax);
    const garbage = this.#deframer.garbageBytes - this.#garbageBefore;
    if (garbage > limit)
      this.lost(
        new DeviceError("garbage", `${this.#place}: ${garbage} bytes came and no whole frame among them`),
      );
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
