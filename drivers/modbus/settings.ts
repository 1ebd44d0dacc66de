import { z } from "zod";
import type { Wire, WirePlace, Reach } from "../../gateway/driver.ts";

/**
 * Settings and addresses of Modbus devices. Register and coil numbers are the 0-based wire addresses of the
 * Modbus application protocol 1.1b3 (clause 4.4), not the 1-based 3xxxx/4xxxx of data sheets.
 */

const durationMs = z
  .union([
    z.number().int().positive(),
    z.string().regex(/^\d+(\.\d+)?(ms|s)$/, { error: 'write a time span with its unit, such as "500ms"' }),
  ])
  .transform((value) =>
    typeof value === "number" ? value : Number.parseFloat(value) * (value.endsWith("ms") ? 1 : 1000),
  );

const networkEnd = {
  host: z.string().min(1),
  port: z.int().min(1).max(65535).default(502),
};

const transport = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("tcp"), ...networkEnd }).describe("Modbus TCP (MBAP header)"),
  z
    .strictObject({ type: z.literal("rtu-over-tcp"), ...networkEnd })
    .describe("RTU frames through a serial device server"),
  z.strictObject({
    type: z.literal("rtu"),
    port: z.string().min(1).describe("by a stable path: /dev/serial/by-id/…"),
    baud: z.int().min(300).max(921_600).default(9600),
    parity: z.enum(["none", "even", "odd"]).default("none"),
    dataBits: z.union([z.literal(7), z.literal(8)]).default(8),
    stopBits: z.union([z.literal(1), z.literal(2)]).default(1),
  }),
]);

export const order = z
  .enum(["ABCD", "CDAB", "BADC", "DCBA"])
  .describe(
    "bytes as they arrive: ABCD high word and high byte first, CDAB low word first, BADC bytes swapped, DCBA both",
  );

export const settings = z.strictObject({
  transport,
  unit: z.int().min(0).max(255).default(1),
  timeout: durationMs.default(1000).describe("longest wait for the answer to one request"),
  order: order.default("ABCD").describe("for points that do not say their own"),
  functions: z
    .array(
      z.union([
        z.literal(1),
        z.literal(2),
        z.literal(3),
        z.literal(4),
        z.literal(5),
        z.literal(6),
        z.literal(15),
        z.literal(16),
        z.literal(22),
        z.literal(43),
      ]),
    )
    .default([1, 2, 3, 4, 5, 6, 15, 16, 43])
    .describe("function codes that the device answers; others are never sent"),
  maxRegistersPerRead: z.int().min(1).max(125).default(125),
  maxBitsPerRead: z.int().min(1).max(2000).default(2000),
  sunspec: z
    .boolean()
    .default(false)
    .describe("who it is stands in its SunSpec models: at holding 40000, 0 or 50000"),
  evenCount: z.boolean().default(false).describe("the device refuses odd start addresses and odd counts"),
  gapRegisters: z
    .int()
    .min(0)
    .max(124)
    .default(16)
    .describe("unused registers worth reading to save a request"),
  requestsInFlight: z
    .int()
    .min(1)
    .max(16)
    .default(1)
    .describe("TCP only: requests sent before the first answer; many devices stand only 1"),
});

export const address = z
  .strictObject({
    table: z.enum(["holding", "input", "coil", "discrete"]),
    register: z.int().min(0).max(65535),
    type: z
      .enum([
        "bool",
        "uint16",
        "int16",
        "uint32",
        "int32",
        "uint64",
        "int64",
        "float32",
        "float64",
        "bcd16",
        "bcd32",
        "text",
      ])
      .default("uint16"),
    order: order.optional(),
    bit: z.int().min(0).max(15).optional().describe("type bool in a register: which bit, 0 = lowest"),
    length: z.int().min(1).max(125).optional().describe("type text: number of registers"),
  })
  .superRefine((value, context) => {
    const isBits = value.table === "coil" || value.table === "discrete";
    const complain = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (isBits && value.type !== "bool" && value.type !== "uint16")
      complain("type", "a coil or discrete input is a bool");
    if (value.bit !== undefined && (isBits || value.type !== "bool"))
      complain("bit", "only for type bool in a register");
    if (value.type === "text" && value.length === undefined)
      complain("length", "how many registers hold the text");
    if (value.type !== "text" && value.length !== undefined) complain("length", "only for type text");
  });

interface Type {
  registers: number;
  gives?: "boolean" | "text";
  raw?: readonly [number, number];
  isWhole?: boolean;
}
/** Registers and raw numbers of a type; "text" has its own length, and floats show more decimals than they hold. */
const types: Record<string, Type> = {
  bool: { registers: 1, gives: "boolean", isWhole: true },
  uint16: { registers: 1, raw: [0, 0xffff], isWhole: true },
  int16: { registers: 1, raw: [-0x8000, 0x7fff], isWhole: true },
  uint32: { registers: 2, raw: [0, 2 ** 32 - 1], isWhole: true },
  int32: { registers: 2, raw: [-(2 ** 31), 2 ** 31 - 1], isWhole: true },
  uint64: { registers: 4, raw: [0, 2 ** 64], isWhole: true },
  int64: { registers: 4, raw: [-(2 ** 63), 2 ** 63], isWhole: true },
  float32: { registers: 2 },
  float64: { registers: 4 },
  bcd16: { registers: 1, raw: [0, 9999], isWhole: true },
  bcd32: { registers: 2, raw: [0, 99_999_999], isWhole: true },
};
const readFunction = { coil: 1, discrete: 2, holding: 3, input: 4 } as const;
const { functions, maxRegistersPerRead, maxBitsPerRead, evenCount } = settings.shape;
const asking = z.object({ functions, maxRegistersPerRead, maxBitsPerRead, evenCount });

/** What an address takes and holds, and why a device with these settings is never asked for it: for the lint. */
export function facts({ table, register, type, bit, length }: Address, given: unknown) {
  const { registers, ...holds } = types[type] ?? { registers: length ?? 1, gives: "text" };
  const isBits = table === "coil" || table === "discrete";
  const { data } = asking.safeParse(given);
  const most = (isBits ? data?.maxBitsPerRead : data?.maxRegistersPerRead) ?? 125;
  const cells = {
    table: bit === undefined ? table : `${table} bit ${bit}`,
    first: register,
    count: registers,
    most,
  };
  const why = unasked(cells, readFunction[table], data);
  return {
    cells,
    gives: "number" as const,
    ...holds,
    ...(isBits ? { gives: "boolean" as const } : {}),
    ...(why === undefined ? {} : { unreachable: why }),
  };
}

function unasked(
  { first, count, most }: { first: number; count: number; most: number },
  code: 1 | 2 | 3 | 4,
  asks: z.infer<typeof asking> | undefined,
): { en: string; vi: string } | undefined {
  if (asks?.functions.includes(code) === false)
    return {
      en: `it needs function ${code}, which is not among the functions of the settings`,
      vi: `cần hàm ${code}, không có trong functions của settings`,
    };
  if (count > most)
    return {
      en: `it takes ${count} registers, and the settings allow ${most} in one read`,
      vi: `chiếm ${count} thanh ghi, còn settings chỉ cho đọc ${most} mỗi lần`,
    };
  if (asks?.evenCount === true && (first % 2 !== 0 || count % 2 !== 0))
    return {
      en: "the settings say evenCount, and it begins or ends at an odd register",
      vi: "settings ghi evenCount, nhưng nó bắt đầu hoặc kết thúc ở thanh ghi lẻ",
    };
  return first + count > 65_536
    ? { en: "it ends beyond register 65535", vi: "nó kết thúc sau thanh ghi 65535" }
    : undefined;
}

/** Most that speak SunSpec do not know function 43. */
export const tellsMore = { sunspec: true };

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;

/** The bytes between kerb and a device. A serial line is reached over TCP by the same frames. */
export function wire(given: Settings): Wire<Settings> {
  const { transport: own } = given;
  if (own.type !== "rtu") {
    const { host, port } = own;
    return { over: "tcp", host, port, moved: (place) => ({ ...given, transport: { ...own, ...place } }) };
  }
  const { type: _, port: path, ...line } = own;
  const moved = (place: WirePlace): Settings => ({
    ...given,
    transport: { type: "rtu-over-tcp", ...place },
  });
  return { over: "serial", path, ...line, moved };
}

/** A device at an address, as a site file says it. */
export const reached: Reach = ({ host, port, line, unit }) => ({
  transport:
    line !== undefined
      ? { type: "rtu", port: line }
      : host === undefined
        ? undefined
        : { type: "tcp", host, port },
  unit,
});
