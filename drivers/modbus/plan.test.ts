import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { frameTcp } from "./codec.ts";
import { Knowledge, Plan, type Limits } from "./plan.ts";
import {
  connectTo,
  patient,
  pointsOf,
  registersPdu,
  scriptedServer,
  settingsOf,
  tcpAnswer,
} from "./testing.ts";

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const widths: Record<string, number> = { uint16: 1, int32: 2, float64: 4 };
const anyAddress = fc.oneof(
  fc.record({
    table: fc.constantFrom("holding", "input"),
    register: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 65_535 })),
    type: fc.constantFrom(...Object.keys(widths)),
  }),
  fc
    .tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 40 }))
    .map(([register, length]) => ({ table: "holding", register, type: "text", length })),
  fc.record({
    table: fc.constantFrom("coil", "discrete"),
    register: fc.nat({ max: 5000 }),
    type: fc.constant("bool"),
  }),
);
const anyLimits = fc.record({
  unit: fc.constant(1),
  order: fc.constant("ABCD" as const),
  functions: fc.constantFrom<Limits["functions"][]>([1, 2, 3, 4], [3], [3, 4], [1, 3]),
  maxRegistersPerRead: fc.integer({ min: 1, max: 125 }),
  maxBitsPerRead: fc.integer({ min: 1, max: 2000 }),
  evenCount: fc.boolean(),
  gapRegisters: fc.nat({ max: 124 }),
}) as fc.Arbitrary<Limits>;

const readFunctions: Record<string, number> = { coil: 1, discrete: 2, holding: 3, input: 4 };

function spanOf(address: { table: string; type: string; length?: number | undefined }): number {
  if (address.table === "coil" || address.table === "discrete") return 1;
  return address.type === "text" ? address.length! : widths[address.type]!;
}

test("every point is in exactly one request or bad, whole, and all limits are kept", () => {
  fc.assert(
    fc.property(fc.array(anyAddress, { maxLength: 60 }), anyLimits, (addresses, limits) => {
      const points = pointsOf(...addresses);
      const plan = new Plan(points, limits, new Knowledge(), frameTcp);
      plan.begin(false);
      const carriers = points.map(() => 0);
      for (const block of plan.blocks) {
        const isBits = block.table === "coil" || block.table === "discrete";
        const max = isBits ? limits.maxBitsPerRead : limits.maxRegistersPerRead;
        expect(block.count).toBeGreaterThan(0);
        expect(block.count).toBeLessThanOrEqual(max);
        expect(block.start + block.count).toBeLessThanOrEqual(65_536);
        expect(limits.functions).toContain(readFunctions[block.table]);
        if (limits.evenCount) expect([block.start % 2, block.count % 2]).toEqual([0, 0]);
        const covered = new Set<number>();
        block.layout.points.forEach((point, index) => {
          const { address } = points[point]!;
          carriers[point]!++;
          expect(address.table).toBe(block.table);
          expect(address.register).toBeGreaterThanOrEqual(block.start);
          expect(address.register + spanOf(address)).toBeLessThanOrEqual(block.start + block.count);
          expect(block.layout.offsets[index]).toBe((address.register - block.start) * (isBits ? 1 : 2));
          for (let offset = 0; offset < spanOf(address); offset++) covered.add(address.register + offset);
        });
        const gapMax = isBits ? 16 * limits.gapRegisters : limits.gapRegisters;
        const used = [...covered].sort((a, b) => a - b);
        used
          .slice(1)
          .forEach((register, index) => expect(register - used[index]! - 1).toBeLessThanOrEqual(gapMax));
      }
      points.forEach(({ address }, point) => {
        const answer = plan.answers[point];
        if (carriers[point] === 1) return expect(answer).toBeUndefined();
        expect(carriers[point]).toBe(0);
        const isAllowed = limits.functions.includes(readFunctions[address.table] as 1);
        const isInside = address.register + spanOf(address) <= 65_536;
        const code = !isAllowed ? "unsupported-function" : isInside ? "too-long" : "bad-address";
        expect(answer).toMatchObject({ value: null, status: "bad", code });
      });
    }),
    { numRuns: 300 },
  );
});

test("a value may end at register 65535, and not beyond it", () => {
  const points = pointsOf(
    { register: 65_535 },
    { register: 65_534, type: "uint32" },
    { register: 65_535, type: "int32" },
  );
  const plan = new Plan(points, settingsOf(502), new Knowledge(), frameTcp);
  plan.begin(false);
  expect(plan.blocks.map(({ start, count }) => [start, count])).toEqual([[65_534, 2]]);
  expect(plan.answers).toMatchObject([undefined, undefined, { code: "bad-address" }]);
});

test("neighbours share a request, gaps are bridged up to the limit", () => {
  const limits = settingsOf(502, { gapRegisters: 4 });
  const plan = new Plan(
    pointsOf(
      { register: 10 },
      { register: 0, type: "uint32" },
      { register: 6 },
      { register: 16 },
      { register: 10 },
    ),
    limits,
    new Knowledge(),
    frameTcp,
  );
  expect(plan.blocks.map(({ start, count }) => [start, count])).toEqual([
    [0, 11],
    [16, 1],
  ]);
});

/** A device that lacks some registers and refuses whatever touches them. */
async function deviceWithout(isMissing: (register: number) => boolean, more: Record<string, unknown> = {}) {
  let countMax = 125;
  const server = await scriptedServer("tcp", (request, socket) => {
    const pdu = request.subarray(7);
    const isTooLong = pdu.readUInt16BE(3) > countMax;
    const answer = registersPdu(pdu, (register) => (isMissing(register) ? undefined : register));
    socket.write(tcpAnswer(request, isTooLong ? [0x83, 3] : answer));
  });
  open.push(server);
  const lines: string[] = [];
  const connection = await connectTo(settingsOf(server.port, { requestsInFlight: 4, ...more }), lines);
  open.push(connection);
  const read = async (points: ReturnType<typeof pointsOf>) => {
    const before = server.requests.length;
    const result = await connection.read(points, { signal: patient() });
    return { ...result, requests: server.requests.length - before };
  };
  return { read, lines, limit: (count: number) => (countMax = count) };
}

const refused = { value: null, status: "bad", code: "modbus-2", reason: "illegal data address" };
const row = (count: number) => pointsOf(...Array.from({ length: count }, (_, register) => ({ register })));

describe("registers that the device refuses", () => {
  test("are found once, bad with their code, and the others cost no further requests", async () => {
    const { read, lines } = await deviceWithout((register) => register === 5 || register === 23);
    const points = row(40);
    const expected = points.map(({ address }) =>
      [5, 23].includes(address.register) ? refused : address.register,
    );
    const first = await read(points);
    expect(first.answers).toEqual(expected);
    expect(first.atMs).toHaveLength(40);
    expect(first.requests).toBeGreaterThan(3);
    for (let round = 0; round < 3; round++) {
      const next = await read(points);
      expect(next).toMatchObject({ answers: expected, requests: 3 });
    }
    expect((await read(row(40))).requests).toBe(3);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("holding 5, holding 23");
  });

  test("in a gap make no point bad, and the gap is not bridged again", async () => {
    const { read } = await deviceWithout((register) => register >= 12 && register < 15);
    const points = pointsOf({ register: 10 }, { register: 11 }, { register: 16 }, { register: 20 });
    expect((await read(points)).answers).toEqual([10, 11, 16, 20]);
    expect(await read(points)).toMatchObject({ answers: [10, 11, 16, 20], requests: 2 });
  });

  test("because they are too many are asked for in halves", async () => {
    const { read, limit } = await deviceWithout(() => false);
    limit(60);
    const points = row(100);
    const expected = points.map(({ address }) => address.register);
    expect((await read(points)).answers).toEqual(expected);
    expect(await read(points)).toMatchObject({ answers: expected, requests: 2 });
  });

  test("if they are many are found over several reads", async () => {
    const { read } = await deviceWithout((register) => register % 2 === 1);
    const points = row(60);
    let last = await read(points);
    expect(last.requests).toBeLessThanOrEqual(33);
    for (let round = 0; round < 6; round++) last = await read(points);
    expect(last.answers).toEqual(
      points.map(({ address }) => (address.register % 2 === 1 ? refused : address.register)),
    );
    expect(last.requests).toBe(30);
  });

  test("make a value that lies on one bad as a whole, and not its neighbours", async () => {
    const { read } = await deviceWithout((register) => register === 3);
    const points = pointsOf(
      { register: 0, type: "uint32" },
      { register: 2, type: "uint32" },
      { register: 4 },
    );
    const expected = [1, refused, 4];
    expect((await read(points)).answers).toEqual(expected);
    expect(await read(points)).toMatchObject({ answers: expected, requests: 2 });
  });

  test("if they are all of them, one is still asked, and good again when it answers", async () => {
    let isMissing = true;
    const { read } = await deviceWithout(() => isMissing);
    const points = row(4);
    const all = points.map(() => refused);
    expect((await read(points)).answers).toEqual(all);
    expect(await read(points)).toMatchObject({ answers: all, requests: 1 });
    isMissing = false;
    expect((await read(points)).answers).toEqual([0, refused, refused, refused]);
    expect(await read(points)).toMatchObject({ answers: [0, 1, 2, 3], requests: 1 });
  });
});

test("raw: the bytes of each value, good or bad", async () => {
  const { read } = await deviceWithout((register) => register === 9);
  const server = await scriptedServer("tcp", (request, socket) => {
    const isCoil = request[7] === 1;
    socket.write(
      tcpAnswer(request, isCoil ? [1, 1, 0b100] : [3, 8, 0x7f, 0xc0, 0, 0, 0x12, 0x34, 0x56, 0x78]),
    );
  });
  open.push(server);
  const connection = await connectTo(settingsOf(server.port));
  open.push(connection);
  const points = pointsOf(
    { register: 0, type: "float32" },
    { register: 2, type: "uint32", order: "CDAB" },
    { table: "coil", register: 2, type: "bool" },
    { table: "coil", register: 0, type: "bool" },
  );
  const { answers } = await connection.read(points, { signal: patient(), raw: true });
  expect(answers).toEqual([
    { ...refused, code: "not-a-number", reason: expect.any(String), raw: Uint8Array.of(0x7f, 0xc0, 0, 0) },
    { value: 0x56781234, status: "good", raw: Uint8Array.of(0x12, 0x34, 0x56, 0x78) },
    { value: true, status: "good", raw: Uint8Array.of(0b100) },
    { value: false, status: "good", raw: Uint8Array.of(0b100) },
  ]);
  expect((await read(pointsOf({ register: 9 }))).answers).toEqual([refused]);
});

test("a function that the device does not have is never sent", async () => {
  const { read } = await deviceWithout(() => false, { functions: [3] });
  const { answers, requests } = await read(pointsOf({ register: 1 }, { table: "input", register: 1 }));
  expect(answers).toMatchObject([1, { status: "bad", code: "unsupported-function" }]);
  expect(requests).toBe(1);
});

test("equal devices share what does not change of a plan, and neither answers nor what is known of one", () => {
  const points = pointsOf({ register: 1 }, { register: 5 }, { register: 300 });
  const limits = settingsOf(502, { gapRegisters: 10 });
  const knowledge = new Knowledge();
  const [first, second] = [knowledge, new Knowledge()].map((one) => new Plan(points, limits, one, frameTcp));
  expect(second?.blocks).toBe(first?.blocks);
  expect(second?.batch).not.toBe(first?.batch);
  first?.begin(false);
  second?.begin(false);
  expect(second?.answers).not.toBe(first?.answers);
  // Other limits: a plan of its own, from the same points.
  const narrow = new Plan(points, settingsOf(502, { gapRegisters: 0 }), new Knowledge(), frameTcp);
  expect([first?.blocks.length, narrow.blocks.length]).toEqual([2, 3]);
  knowledge.refuse("holding", 5, 6, 2);
  expect(new Plan(points, limits, knowledge, frameTcp).blocks).not.toEqual(first?.blocks);
  expect(new Plan(points, limits, new Knowledge(), frameTcp).blocks).toBe(first?.blocks);
});
