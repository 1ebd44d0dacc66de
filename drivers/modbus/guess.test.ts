import { expect, test } from "vitest";
import { guessed, usualOrder } from "./guess.ts";

/** Runs of words as devices have them, and as none has. */

const orders = ["ABCD", "CDAB", "BADC", "DCBA"] as const;

/** A sequence that is the same in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const swapped = (word: number): number => ((word & 0xff) << 8) | (word >> 8);

/** A float as two words in an order. */
function wordsOf(value: number, order: (typeof orders)[number]): [number, number] {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  const [high, low] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
  const [first, second] = order === "CDAB" || order === "DCBA" ? [low, high] : [high, low];
  return order === "BADC" || order === "DCBA" ? [swapped(first), swapped(second)] : [first, second];
}

test("random words: nothing is told twice, nothing but zeros is left out, and nothing throws", async () => {
  const random = randomOf(7);
  for (let round = 0; round < 300; round++) {
    const word = () =>
      random() < 0.3 ? 0 : random() < 0.5 ? Math.floor(random() * 300) : Math.floor(random() * 65_536);
    const words = Array.from({ length: 1 + Math.floor(random() * 40) }, word);
    const found = guessed(words, words, await usualOrder([words]));
    let at = 0;
    for (const one of found) {
      expect(words.slice(at, one.at).every((skipped) => skipped === 0)).toBe(true);
      expect(one.length).toBeGreaterThan(0);
      expect(one.guesses.length).toBeGreaterThan(0);
      expect(one.changes).toBe(false);
      at = one.at + one.length;
    }
    expect(at).toBeLessThanOrEqual(words.length);
    expect(words.slice(at).every((skipped) => skipped === 0)).toBe(true);
  }
});

test.each(orders)(
  "measurements as floats in the order %s are told as such, whatever they measure",
  async (order) => {
    const random = randomOf(11);
    let [right, all] = [0, 0];
    for (let round = 0; round < 100; round++) {
      const values = Array.from(
        { length: 12 },
        () => (random() < 0.1 ? -1 : 1) * 10 ** (random() * 5 - 1) * (1 + random()),
      );
      const words = values.flatMap((value) => wordsOf(value, order));
      const found = guessed(words, words, await usualOrder([words]));
      all += values.length;
      right += found.filter(({ guesses }) => guesses[0]?.type === `float32 ${order}`).length;
    }
    expect(right / all).toBeGreaterThan(0.97);
  },
);

test("numbers of one word are not taken for floats or counters", async () => {
  const random = randomOf(13);
  let [right, all] = [0, 0];
  for (let round = 0; round < 100; round++) {
    const words = Array.from({ length: 20 }, () => 1 + Math.floor(10 ** (random() * 4)));
    all += words.length;
    right += guessed(words, words, await usualOrder([words])).filter(
      ({ guesses }) => guesses[0]?.type === "uint16",
    ).length;
  }
  expect(right / all).toBeGreaterThan(0.95);
});
