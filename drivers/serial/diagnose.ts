import type { DevicePlace, Diagnosis, Facts, Failure } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why an instrument on a serial line fails. */

function place({ transport, station }: Settings): DevicePlace {
  const one = station === "" ? {} : { unit: `station ${station}` };
  if (transport.type === "tcp")
    return { over: "tcp", host: transport.host, port: transport.port, shared: "line", ...one };
  const { port, baud, dataBits, parity, stopBits } = transport;
  return {
    over: "serial",
    path: port,
    line: `${baud}-${dataBits}${parity[0]?.toUpperCase()}${stopBits}`,
    ...one,
  };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/the line is never silent/, { "line.babbles": true, rung: "line" }],
  [/another baud rate or parity/, { "line.conflict": true, rung: "port" }],
  [/the port is gone|line was lost/, { "serial.port": "gone", rung: "port" }],
  [/another program has this port open/, { "serial.port": "busy", rung: "port" }],
  [/ioctl|not a typewriter|ENOTTY/i, { "serial.port": "no-port", rung: "port" }],
];

function facts({ message, code }: Failure): Facts {
  const stray = /only (\d+) bytes that are none/.exec(message)?.[1];
  return {
    ...(code === "garbage" ? { rung: "line" } : {}),
    ...(stray === undefined ? {} : { "serial.strayBytes": Number(stray) }),
    ...words.find(([pattern]) => pattern.test(message))?.[1],
  };
}

export const diagnosis: Diagnosis<Settings> = { place, facts };
