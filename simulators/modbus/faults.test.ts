import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answer, clientOf, point, rawOf, reconnect, request, roundTrip, simulate, until } from "./testing.ts";

describe("faults", () => {
  it("silent: takes the request, answers nothing, and answers again when it is over", async () => {
    const simulator = await simulate();
    const raw = await rawOf(simulator);
    simulator.fault("silent");
    raw.socket.write(request(1));
    await until(() => simulator.counts.requests === 1);
    await roundTrip(simulator);
    expect(raw.received()).toHaveLength(0);
    simulator.fault(undefined);
    raw.socket.write(request(2));
    await until(() => raw.received().length > 0);
    expect(raw.received()).toEqual(answer(2));
  });

  it("refuse: closes connections and listener, and comes back on the same port", async () => {
    const simulator = await simulate();
    const raw = await rawOf(simulator);
    simulator.fault("refuse");
    await raw.closed;
    await expect(rawOf(simulator)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    simulator.fault(undefined);
    const back = await reconnect(simulator);
    back.socket.write(request(3));
    await until(() => back.received().length > 0);
    expect(back.received()).toEqual(answer(3));
  });

  it("hangUp: closes at the first byte of a request", async () => {
    const simulator = await simulate();
    simulator.fault("hangUp");
    const raw = await rawOf(simulator);
    raw.socket.write(Buffer.from([0]));
    await raw.closed;
    expect(raw.received()).toHaveLength(0);
    await rawOf(simulator);
  });

  it("garbage: answers bytes that repeat with the seed and are no frame", async () => {
    const noises = await Promise.all(
      [1, 1, 2].map(async (seed) => {
        const simulator = await simulate({}, { seed });
        simulator.fault("garbage");
        const raw = await rawOf(simulator);
        raw.socket.write(request(1));
        await until(() => raw.received().length > 0);
        return raw.received().toString("hex");
      }),
    );
    expect(noises[0]).toBe(noises[1]);
    expect(noises[0]).not.toBe(noises[2]);
    expect(noises[0]?.startsWith(answer(1).subarray(0, 6).toString("hex"))).toBe(false);
  });

  it("garbage and hangUp work on RTU over TCP as well", async () => {
    const simulator = await simulate({ transport: { type: "rtu-over-tcp", host: "127.0.0.1", port: 0 } });
    const raw = await rawOf(simulator);
    simulator.fault("garbage");
    raw.socket.write(Buffer.from("010300640001c5d5", "hex"));
    await until(() => raw.received().length > 0);
    expect(raw.received()).not.toEqual(Buffer.from("0103020007f986", "hex"));
    simulator.fault("hangUp");
    raw.socket.write(Buffer.from([1]));
    await raw.closed;
  });

  it("slow: answers every request, each after the delay", async () => {
    const simulator = await simulate();
    const raw = await rawOf(simulator);
    simulator.fault("slow", 150);
    for (const transaction of [1, 2]) {
      const before = performance.now();
      raw.socket.write(request(transaction));
      await until(() => raw.received().length === transaction * 11);
      expect(performance.now() - before).toBeGreaterThanOrEqual(145);
    }
    expect(raw.received()).toEqual(Buffer.concat([answer(1), answer(2)]));
  });

  it("late: the first answer comes after those to later requests", async () => {
    const simulator = await simulate();
    const raw = await rawOf(simulator);
    simulator.fault("late", 200);
    raw.socket.write(request(1));
    raw.socket.write(request(2));
    await until(() => raw.received().length >= 11);
    expect(raw.received()).toEqual(answer(2));
    await until(() => raw.received().length >= 22);
    expect(raw.received()).toEqual(Buffer.concat([answer(2), answer(1)]));
  });

  it("restart: drops connections, is gone for the delay and comes back by itself", async () => {
    const simulator = await simulate();
    const raw = await rawOf(simulator);
    const before = performance.now();
    simulator.fault("restart", 300);
    await raw.closed;
    await expect(rawOf(simulator)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    const back = await reconnect(simulator);
    expect(performance.now() - before).toBeGreaterThanOrEqual(295);
    back.socket.write(request(1));
    await until(() => back.received().length > 0);
    expect(back.received()).toEqual(answer(1));
  });

  it("clockWrong: changes nothing in a device without a clock", async () => {
    const simulator = await simulate();
    simulator.fault("clockWrong");
    const raw = await rawOf(simulator);
    raw.socket.write(request(1));
    await until(() => raw.received().length > 0);
    expect(raw.received()).toEqual(answer(1));
  });

  it("can be closed in the middle of any of them", async () => {
    for (const fault of ["silent", "refuse", "hangUp", "garbage", "slow", "late", "restart"] as const) {
      const simulator = await simulate();
      const raw = await rawOf(simulator);
      simulator.fault(fault, 60_000);
      raw.socket.write(request(1));
      await simulator.close();
      await expect(rawOf(simulator), fault).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
  });
});

describe("clients that misbehave", () => {
  it("are cut off when they talk no Modbus TCP, and others are not", async () => {
    const simulator = await simulate();
    const good = await rawOf(simulator);
    for (const nonsense of [
      "GET / HTTP/1.1\r\n\r\n",
      "\0\x01\0\0\xff\xff\x01\x03",
      "\0\x01\0\0\0\x01\x01\x03\x00",
    ]) {
      const bad = await rawOf(simulator);
      bad.socket.write(nonsense, "latin1");
      await bad.closed;
    }
    good.socket.write(request(5));
    await until(() => good.received().length > 0);
    expect(good.received()).toEqual(answer(5));
  });

  it("may reset or stop half-way", async () => {
    const simulator = await simulate();
    const half = await rawOf(simulator);
    half.socket.write(request(1).subarray(0, 9));
    half.socket.end();
    await half.closed;
    const reset = await rawOf(simulator);
    reset.socket.write(request(1));
    reset.socket.resetAndDestroy();
    await reset.closed;
    const client = await clientOf(simulator);
    expect((await client.readHoldingRegisters(100, 1)).data).toEqual([7]);
  });

  it("are cut off when they ask without end and read nothing", async () => {
    const long = point("long", { table: "holding", register: 0, type: "text", length: 120 }, { fixed: "x" });
    const simulator = await simulate({}, { points: [long] });
    const flood = await rawOf(simulator);
    flood.socket.pause();
    const one = Buffer.from([0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 120]);
    flood.socket.write(Buffer.concat(Array.from({ length: 60_000 }, () => one)));
    await until(() => {
      if (!flood.socket.destroyed) flood.socket.write(one);
      return flood.socket.destroyed;
    });
    const client = await clientOf(simulator);
    expect((await client.readHoldingRegisters(0, 1)).data).toEqual([0x7800]);
  });

  it.each(["tcp", "rtu-over-tcp"])("random bytes over %s never stop it", async (type) => {
    const simulator = await simulate({ transport: { type, host: "127.0.0.1", port: 0 } });
    const header = fc
      .tuple(fc.integer({ min: 2, max: 254 }), fc.uint8Array({ maxLength: 260 }))
      .map(([length, rest]) => Uint8Array.from([0, 1, 0, 0, 0, length, 1, ...rest]));
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 600 }), header);
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { maxLength: 4 }), async (chunks) => {
        const raw = await rawOf(simulator);
        for (const chunk of chunks) raw.socket.write(chunk);
        raw.socket.end();
        raw.socket.resume();
        await raw.closed;
      }),
      { numRuns: 150 },
    );
    const last = await rawOf(simulator);
    simulator.set("far", 7);
    last.socket.write(type === "tcp" ? request(1) : Buffer.from("010300640001c5d5", "hex"));
    await until(() => last.received().length > 0);
    expect(
      last
        .received()
        .subarray(-3, type === "tcp" ? undefined : -2)
        .includes(7),
    ).toBe(true);
  });
});
