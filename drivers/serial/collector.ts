import { Deframer, type Whole } from "./deframer.ts";
import type { Framing } from "./grammar.ts";
import type { Collector } from "./line.ts";

/** Takes away what a half-duplex adapter or an instrument sends back of the request itself. */
class Echo {
  readonly #sent: Uint8Array;
  #heard = 0;
  #isOver = false;

  constructor(sent: Uint8Array) {
    this.#sent = sent;
  }

  without(bytes: Uint8Array): Uint8Array {
    if (this.#isOver) return bytes;
    let i = 0;
    while (i < bytes.length && this.#heard < this.#sent.length && bytes[i] === this.#sent[this.#heard]) {
      this.#heard++;
      i++;
    }
    if (this.#heard === this.#sent.length) {
      this.#isOver = true;
      return bytes.subarray(i);
    }
    if (i === bytes.length) return new Uint8Array();
    // No echo after all: what looked like one belongs to the answer.
    this.#isOver = true;
    return Buffer.concat([this.#sent.subarray(0, this.#heard), bytes.subarray(i)]);
  }
}

/** More than this is no answer, whatever is in it: somebody else talks, or another baud rate. */
const floodBytesMin = 65_536;

/** Takes the frames that answer a request; `accept` gives undefined for those that do not. The last one counts. */
export class FrameCollector<Result> implements Collector {
  result: Result | undefined;
  /** Bytes that came, without the echo. */
  heardBytes = 0;
  #count = 0;
  readonly #deframer: Deframer;
  readonly #echo: Echo;
  readonly #lines: number;
  readonly #floodBytes: number;
  readonly #accept: (whole: Whole) => Result | undefined;
  readonly #isLast: (result: Result) => boolean;

  constructor(
    framing: Framing,
    sent: Uint8Array,
    lines: number,
    accept: (whole: Whole) => Result | undefined,
    isLast: (result: Result) => boolean = () => false,
  ) {
    this.#isLast = isLast;
    this.#deframer = new Deframer(framing);
    this.#echo = new Echo(sent);
    this.#lines = lines;
    this.#floodBytes = Math.max(floodBytesMin, 4 * framing.lengthMax * lines);
    this.#accept = accept;
  }

  get isDone(): boolean {
    return this.#count >= this.#lines;
  }
  get hasSome(): boolean {
    return this.#count > 0;
  }
  get isFlooded(): boolean {
    return this.heardBytes > this.#floodBytes;
  }

  push(chunk: Uint8Array): void {
    const bytes = this.#echo.without(chunk);
    this.heardBytes += bytes.length;
    if (this.isFlooded) return;
    for (const whole of this.#deframer.push(bytes)) {
      if (this.isDone) return;
      const result = this.#accept(whole);
      if (result === undefined) continue;
      this.result = result;
      this.#count = this.#isLast(result) ? this.#lines : this.#count + 1;
    }
  }
}

/** Waits for a text, such as the prompt of a menu, wherever it stands. */
export class PromptCollector implements Collector {
  readonly hasSome = false;
  isDone = false;
  heardBytes = 0;
  #kept = "";
  readonly #prompt: string;
  readonly #echo: Echo;

  get isFlooded(): boolean {
    return this.heardBytes > floodBytesMin;
  }

  constructor(prompt: string, sent: Uint8Array) {
    this.#prompt = prompt;
    this.#echo = new Echo(sent);
  }

  push(chunk: Uint8Array): void {
    const bytes = this.#echo.without(chunk);
    this.heardBytes += bytes.length;
    const text = this.#kept + Buffer.from(bytes).toString("latin1");
    this.isDone ||= text.includes(this.#prompt);
    this.#kept = text.slice(-this.#prompt.length);
  }
}
