import { z } from "zod";
import type { Wire, WirePlace, Reach } from "../../gateway/driver.ts";
import { fieldFacts } from "./facts.ts";
import { grammar } from "./grammar.ts";

/** Settings and addresses of instruments that speak ASCII over a serial port or TCP. */

const durationMs = z
  .union([
    z.number().int().positive(),
    z.string().regex(/^\d+(\.\d+)?(ms|s)$/, { error: 'write a time span with its unit, such as "500ms"' }),
  ])
  .transform((value) =>
    typeof value === "number" ? value : Number.parseFloat(value) * (value.endsWith("ms") ? 1 : 1000),
  )
  .refine((value) => value >= 10 && value <= 15_000, { error: "a time span from 10ms to 15s" });

const transport = z.discriminatedUnion("type", [
  z
    .strictObject({ type: z.literal("tcp"), host: z.string().min(1), port: z.int().min(1).max(65535) })
    .describe("the instrument's own port, or a serial device server that passes bytes on as they are"),
  z.strictObject({
    type: z.literal("serial"),
    port: z.string().min(1).describe("by a stable path: /dev/serial/by-id/…"),
    baud: z.int().min(300).max(921_600).default(9600),
    parity: z.enum(["none", "even", "odd"]).default("none"),
    dataBits: z.union([z.literal(7), z.literal(8)]).default(8),
    stopBits: z.union([z.literal(1), z.literal(2)]).default(1),
  }),
]);

export const settings = z.strictObject({
  transport,
  station: z
    .union([z.string(), z.int().min(0)])
    .transform(String)
    .pipe(z.string().regex(/^[A-Za-z0-9]{0,8}$/, { error: "letters and digits, at most 8" }))
    .default("")
    .describe("the instrument's address, where several share a line; empty: it has none"),
  timeout: durationMs.default(2000).describe("longest wait for the answer to one request"),
  zone: z
    .string()
    .regex(/^[+-]\d\d:\d\d$/, { error: 'an offset from UTC, such as "+07:00"' })
    .default("+07:00")
    .describe("in which the instrument's clock runs"),
  grammar: grammar.describe("how its frames look; comes with the profile"),
});

const where = z.string().regex(/^[a-zA-Z][a-zA-Z0-9]*$/);

export const address = z
  .strictObject({
    request: where.optional().describe("asked for by this request of the grammar"),
    frame: where.optional().describe("told by itself in this frame of the grammar"),
    item: z.string().max(32).optional().describe('which of the items: a channel; "{station}" is the setting'),
    field: where
      .optional()
      .describe('which field; "missed": how many sequence numbers were left out before a frame'),
  })
  .refine(({ request, frame }) => (request === undefined) !== (frame === undefined), {
    error: "names a request or a frame",
  });

export type Settings = z.infer<typeof settings>;
export type Address = z.infer<typeof address>;

/** What a field of the profile's own grammar can hold, or why there is none: for the lint. */
export function facts(of: Address, given: { grammar?: unknown }) {
  return fieldFacts(of, given);
}

/** The bytes between kerb and an instrument. A serial line is reached over TCP by the same frames. */
export function wire(given: Settings): Wire<Settings> {
  const moved = (place: WirePlace): Settings => ({ ...given, transport: { type: "tcp", ...place } });
  const { transport: own } = given;
  if (own.type === "tcp") return { over: "tcp", host: own.host, port: own.port, moved };
  const { type: _, port: path, ...line } = own;
  return { over: "serial", path, ...line, moved };
}

/** An instrument at an address, as a site file says it. */
export const reached: Reach = ({ host, port, line, unit }) => ({
  transport:
    line !== undefined
      ? { type: "serial", port: line }
      : host === undefined
        ? undefined
        : { type: "tcp", host, port },
  station: unit,
});
