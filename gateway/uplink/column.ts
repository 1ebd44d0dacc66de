const usualBytes = 8192;
const keptBytes = 65_536;
const comma = 44;
const minus = 45;
const dot = 46;
const zero = 48;
const powers = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8] as const;

/**
 * Numbers as JSON text with commas between them. Written as bytes: strings of so many small parts would be two
 * thirds of the worker's garbage.
 */
export class Column {
  #bytes = Buffer.allocUnsafe(usualBytes);
  #at = 0;

  clear(): void {
    this.#at = 0;
    if (this.#bytes.length > keptBytes) this.#bytes = Buffer.allocUnsafe(usualBytes);
  }

  /** Any other JSON value in ASCII. */
  text(text: string): void {
    this.#begin(text.length);
    this.#at += this.#bytes.write(text, this.#at, "latin1");
  }

  integer(value: number): void {
    this.decimal(value, 0);
  }

  /** integer / 10^digits (0-8), with all these digits unless it is a whole number. */
  decimal(integer: number, digits: number): void {
    const power = powers[digits] ?? 1;
    if ((integer | 0) !== integer) {
      this.text(String(integer / power));
      return;
    }
    this.#begin(16);
    if (integer < 0) this.#bytes[this.#at++] = minus;
    const absolute = Math.abs(integer);
    const whole = Math.floor(absolute / power);
    const rest = absolute - whole * power;
    this.#digits(whole, 1);
    if (rest === 0) return;
    this.#bytes[this.#at++] = dot;
    this.#digits(rest, digits);
  }

  toString(): string {
    return this.#bytes.toString("latin1", 0, this.#at);
  }

  /** At least so many digits, zeros in front. */
  #digits(value: number, countMin: number): void {
    const bytes = this.#bytes;
    let end = this.#at + countMin;
    for (let power = powers[countMin] ?? 1e9; value >= power; power *= 10) end++;
    let rest = value;
    for (let at = end - 1; at >= this.#at; at--) {
      const tens = (rest / 10) | 0;
      bytes[at] = zero + rest - tens * 10;
      rest = tens;
    }
    this.#at = end;
  }

  /** The comma, and room for what follows. */
  #begin(bytes: number): void {
    if (this.#at + bytes + 1 > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes + 1));
      this.#bytes.copy(larger, 0, 0, this.#at);
      this.#bytes = larger;
    }
    if (this.#at > 0) this.#bytes[this.#at++] = comma;
  }
}
