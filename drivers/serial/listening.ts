import { DeviceError, type Answer, type PointRequest, type Subscription } from "../../gateway/driver.ts";
import { Deframer, type Whole } from "./deframer.ts";
import { answerOf, isFrom, tell, type Told } from "./frame.ts";
import type { Frame } from "./grammar.ts";
import type { Listener } from "./line.ts";
import type { Address, Settings } from "./settings.ts";

/** So much without one whole frame is not noise: it is another baud rate, or another device. */
const garbageBytesMin = 4096;

interface Wanted {
  readonly index: number;
  readonly address: Address;
}

/** What is remembered of the frames of one kind, for as long as the subscription lasts. */
interface Course {
  last: number | undefined;
  isArmed: boolean;
  timeMs: number | undefined;
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
  readonly #courses = new Map<string, Course>();
  #garbageBefore = 0;

  constructor(
    settings: Settings,
    place: string,
    subscription: Subscription<Address>,
    lost: (error: DeviceError) => void,
  ) {
    this.#settings = settings;
    this.#place = place;
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
    const course = this.#courses.get(told.name) ?? { last: undefined, isArmed: false, timeMs: undefined };
    this.#courses.set(told.name, course);
    if (told.frame.time?.once === true && told.timeMs === course.timeMs) return;
    course.timeMs = told.timeMs;
    const values = (this.#points.get(told.name) ?? []).flatMap(({ index, address }) => {
      const answer = this.#answer(told, address);
      return answer === undefined ? [] : [{ index, answer }];
    });
    if (values.length > 0) sink.readings(values);
    const records = this.#records.get(told.name);
    if (records === undefined) return;
    const missed = missedBefore(told, course);
    if (missed === undefined || !hasSettled(told, course)) return;
    for (const { index, fields } of records) {
      const answers = fields.map(({ address }) =>
        address.field === "missed" ? missed : this.#answer(told, address),
      );
      const about = told.timeMs === undefined ? {} : { sourceTimeMs: told.timeMs };
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

/** How many numbers were left out before this frame; undefined: it is the very one that was told last. */
function missedBefore({ frame, part }: Told, course: Course): number | undefined {
  if (frame.sequence === undefined) return 0;
  const number = Number(part(frame.sequence));
  if (!Number.isSafeInteger(number)) return 0;
  const { last } = course;
  course.last = number;
  if (last === number) return undefined;
  // A number that goes back is that of an instrument which has started anew.
  return last === undefined || number < last ? 0 : number - last - 1;
}

/** A frame without such a rule is a record each time. */
function hasSettled(told: Told, course: Course): boolean {
  const { settled }: Frame = told.frame;
  if (settled === undefined) return true;
  const weight = answerOf(told, undefined, settled.field, false);
  const value = typeof weight === "object" ? weight.value : weight;
  if (typeof value !== "number") return false;
  if (value < settled.below) course.isArmed = true;
  const stable = answerOf(told, undefined, settled.stable.field, false);
  const word = typeof stable === "object" ? stable.value : stable;
  if (!course.isArmed || value < settled.above || word !== settled.stable.is) return false;
  course.isArmed = false;
  return true;
}
