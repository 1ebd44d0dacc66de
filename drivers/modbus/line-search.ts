import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Facts } from "../../gateway/driver.ts";
import { type Bus, BusScan, type Framed, openBus } from "./bus-scan.ts";
import { lineText } from "./diagnose.ts";
import type { SerialSettings } from "./serial.ts";

/** As devices leave the factory, the usual ones first; with 19200 even what the specification says. */
export const usualFramings: readonly Framed[] = [
  { baud: 9600, parity: "none" },
  { baud: 19_200, parity: "even" },
  { baud: 9600, parity: "even" },
  { baud: 19_200, parity: "none" },
  { baud: 4800, parity: "none" },
  { baud: 38_400, parity: "none" },
  { baud: 115_200, parity: "none" },
  { baud: 57_600, parity: "none" },
  { baud: 2400, parity: "none" },
  { baud: 9600, parity: "odd" },
];

/** Units that many devices have as they come. */
const usualUnits = [1, 2];

/** A gateway that has just lost a device tries it again and again, and has the port meanwhile. */
const busyPauseMs = 200;

async function opened(transport: SerialSettings, signal: AbortSignal): Promise<Bus> {
  for (;;) {
    try {
      return await openBus(transport, signal);
    } catch (error) {
      if (!(error instanceof DeviceError && error.code === "busy")) throw error;
      await sleep(busyPauseMs, undefined, { signal });
    }
  }
}

/** Who of some units answers at these line settings. The last one has as long to be late as the others. */
async function firstThere(
  transport: SerialSettings,
  units: readonly number[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const bus = await opened(transport, signal);
  try {
    const [there] = await new BusScan(bus).units([...units, ...units.slice(0, 1)], signal, () => {});
    return there;
  } finally {
    await bus.close();
  }
}

/**
 * Who answers on a line on which a unit does not: `mates` at the line settings of `transport`, else the unit or one
 * that is usual at other settings that are. Each is asked for one register. Ends with the signal; never rejects.
 */
export async function searchLine(
  transport: SerialSettings,
  { unit, mates }: { unit: number; mates: readonly number[] },
  signal: AbortSignal,
): Promise<Facts> {
  const tried: string[] = [];
  const own = lineText(transport);
  try {
    const mate = await firstThere(transport, mates, signal);
    if (mate !== undefined) return { "modbus.answeringUnit": mate, "line.answers": `unit ${mate}` };
    for (const framed of usualFramings) {
      const other: SerialSettings = { ...transport, ...framed, dataBits: 8, stopBits: 1 };
      if (lineText(other) === own) continue;
      const there = await firstThere(other, [unit, ...usualUnits.filter((one) => one !== unit)], signal);
      if (there !== undefined)
        return { "line.answersAt": lineText(other), "line.there": `unit ${there}`, rung: "line" };
      tried.push(lineText(other));
    }
  } catch {
    // The port is gone or taken, or the time is over: what was tried until then was tried.
  }
  return tried.length === 0 ? {} : { "line.tried": tried.join(", ") };
}
