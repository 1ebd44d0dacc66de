import type { Answer, Value } from "../driver.ts";
import type { ExpectedRecord } from "./cassette.ts";
import { expectedRecord } from "./expected.ts";

/** The records of a conversation, the first of them, and everything personal that was told in any. */

/** More than a cassette holds beside its bytes. */
const recordsMax = 500;
const recordBytesMax = 196_608;
const personalMax = 4000;

interface Field {
  name: string;
  privacy: string;
}

export class Heard {
  readonly records: ExpectedRecord[] = [];
  /** Texts that name somebody, by whether their bytes must be on the tape. */
  readonly personal = new Map<string, boolean>();
  /** Records that came after those. */
  leftOut = 0;
  /** More personal texts than can be kept. */
  isTooMuch = false;
  isFull = false;
  readonly #personal: ReadonlySet<string>;
  readonly #full: () => void;
  readonly #isOnTape: () => boolean;
  #bytes = 0;

  /** `personal` are "record.field"; `full` is called once, when no more records are kept. */
  constructor(
    personal: ReadonlySet<string>,
    full: () => void = () => {},
    isOnTape: () => boolean = () => true,
  ) {
    this.#personal = personal;
    this.#full = full;
    this.#isOnTape = isOnTape;
  }

  record({ kind, data }: { kind: string; data: Record<string, unknown> }): void {
    const values = Object.entries((data["values"] ?? {}) as Record<string, { value?: Value | null }>);
    for (const [name, { value }] of values)
      if (this.#personal.has(`${String(data["record"])}.${name}`)) this.#note(value);
    if (this.isFull) {
      this.leftOut++;
      return;
    }
    const one = expectedRecord({ kind, data }, this.#personal);
    this.records.push(one);
    this.#bytes += JSON.stringify(one).length;
    this.isFull = this.records.length >= recordsMax || this.#bytes >= recordBytesMax;
    if (this.isFull) this.#full();
  }

  /** What the driver has told, also where no record comes of it: an old one that a broker had kept. */
  told({ fields }: { fields: readonly Field[] }, answers: readonly (Answer | undefined)[]): void {
    fields.forEach(({ privacy }, i) => {
      const answer = answers[i];
      if (privacy !== "none") this.#note(typeof answer === "object" ? answer.value : answer);
    });
  }

  #note(value: Value | null | undefined): void {
    if (value === null || value === undefined || value === "") return;
    const text = String(value);
    const isOnTape = this.#isOnTape() || this.personal.get(text) === true;
    if (this.personal.has(text) || this.personal.size < personalMax) this.personal.set(text, isOnTape);
    else this.isTooMuch = true;
  }
}
