import type { DevicePlace, Diagnosis, Facts, Failure } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";

/** What is known of why a Modbus device fails. */

type Serial = Extract<Settings["transport"], { type: "rtu" }>;

/** "9600-8N1". */
export function lineText({ baud, dataBits, parity, stopBits }: Omit<Serial, "type" | "port">): string {
  return `${baud}-${dataBits}${parity[0]?.toUpperCase()}${stopBits}`;
}

function place({ transport, unit }: Settings): DevicePlace {
  const one = { unit: `unit ${unit}` };
  if (transport.type === "rtu") {
    return { over: "serial", path: transport.port, line: lineText(transport), ...one };
  }
  const { host, port } = transport;
  const shared = transport.type === "rtu-over-tcp" ? { shared: "line" as const } : {};
  return { over: "tcp", host, port, ...shared, ...one };
}

const words: readonly [pattern: RegExp, facts: Facts][] = [
  [/exception 1[01]\)|gateway (target|path)/, { "modbus.exception": 11, rung: "protocol" }],
  [/checksum is wrong/, { "modbus.crcErrors": true, rung: "line" }],
  [/not Modbus TCP/, { "modbus.notModbus": true, rung: "protocol" }],
  [/the line is never silent/, { "line.babbles": true, rung: "line" }],
  [/another baud rate or parity/, { "line.conflict": true, rung: "port" }],
  [/the port is gone/, { "serial.port": "gone", rung: "port" }],
  [/ioctl|not a typewriter|ENOTTY/i, { "serial.port": "no-port", rung: "port" }],
  [/illegal function/, { "modbus.exception": 1, rung: "protocol" }],
  [/server device busy/, { "modbus.exception": 6, rung: "protocol" }],
];

function facts({ message, code }: Failure, { transport }: Settings): Facts {
  // The library's words for a locked port differ from system to system.
  const taken: Facts =
    code === "busy" && transport.type === "rtu" ? { "serial.port": "busy", rung: "port" } : {};
  const found = words.find(([pattern]) => pattern.test(message))?.[1] ?? taken;
  const stray = /only (\d+) bytes that are none/.exec(message)?.[1];
  const other = /comes from unit (\d+)/.exec(message)?.[1];
  const isLine = transport.type !== "tcp" && code === "garbage";
  return {
    ...(isLine ? { rung: "line" } : {}),
    ...(stray === undefined ? {} : { "modbus.strayBytes": Number(stray) }),
    ...(other === undefined ? {} : { "modbus.otherUnit": Number(other) }),
    "modbus.transport": transport.type,
    ...found,
  };
}

export const diagnosis: Diagnosis<Settings> = {
  place,
  facts,
  // Who only asks for places and words does not load the protocol.
  look: async (settings, inquiry) => (await import("./look.ts")).look(settings, inquiry),
};
