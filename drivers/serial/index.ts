import type { Driver } from "../../gateway/driver.ts";
import { aborted, SerialConnection } from "./connection.ts";
import { joinLine, lineKey } from "./line.ts";
import type { Address, Settings } from "./settings.ts";
import { placeOf } from "./stream.ts";

/** Instruments that speak ASCII frames over a serial port or TCP, as the grammar in their profile says. */
export const driver: Driver<Settings, Address> = {
  name: "serial",

  line: ({ transport }) => lineKey(transport),

  async connect(settings, context, signal) {
    const { transport, station, timeout } = settings;
    const place = `${placeOf(transport)}${station === "" ? "" : ` station ${station}`}`;
    const stop = new AbortController();
    const onAbort = () => stop.abort(aborted(place));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    try {
      const line = await joinLine(transport, timeout, stop.signal);
      return new SerialConnection(line, settings, place, context);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  },

  describe({ request, frame, item, field = "" }) {
    const from = request === undefined ? `frame ${frame}` : `request ${request}`;
    return `${from}${item === undefined ? "" : ` item ${item}`} ${field}`.trimEnd();
  },
};
