import { setTimeout as sleep } from "node:timers/promises";
import { DeviceError, type Facts } from "../../gateway/driver.ts";
import { BusScan, type Bus, type Framed, openBus } from "./bus-scan.ts";
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

/**
 * At which other usual line settings somebody answers where nobody does at those of `transport`: each unit is asked
 * for one register. Ends with the signal; never rejects.
 */
export async function searchLine(
  transport: SerialSettings,
  units: readonly number[],
  signal: AbortSignal,
): Promise<Facts> {
  const tried: string[] = [];
  for (const framed of usualFramings) {
    const other: SerialSettings = { ...transport, ...framed, dataBits: 8, stopBits: 1 };
    if (lineText(other) === lineText(transport)) continue;
    let bus: Bus | undefined;
    try {
      bus = await opened(other, signal);
      const [there] = await new BusScan(bus).units(units, signal, () => {});
      if (there !== undefined)
        return { "line.answersAt": lineText(other), "line.there": `unit ${there}`, rung: "line" };
      tried.push(lineText(other));
    } catch {
      // The port is gone or taken, or the time is over: what was tried until then was tried.
      break;
    } finally {
      await bus?.close();
    }
  }
  return tried.length === 0 ? {} : { "line.tried": tried.join(", ") };
}
