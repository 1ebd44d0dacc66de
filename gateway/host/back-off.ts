/** Pauses between attempts to open a device that is lost. */

const firstMs = 1000;
const mostMs = 30_000;
/** A login that was refused is not right a second later, and many devices lock the account instead. */
const deniedFirstMs = 10_000;
const deniedMostMs = 600_000;

/** The pause after so many failures in a row, spread by a quarter to both sides, ms. */
export function backOffMs(failures: number, code: string, random = Math.random()): number {
  const isDenied = code === "denied";
  const [least, most] = isDenied ? [deniedFirstMs, deniedMostMs] : [firstMs, mostMs];
  return Math.min(most, least * 2 ** Math.min(10, failures - 1)) * (0.75 + random / 2);
}
