import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import modbusSerial from "modbus-serial";
import { describe, expect, it } from "vitest";
import { localHost } from "../media.ts";
import {
  answer,
  cleanups,
  clientOf,
  point,
  portOf,
  rawOf,
  reconnect,
  request,
  simulate,
  until,
} from "./testing.ts";

describe("modbus-serial over TCP", () => {
  it("reads what was pinned, in every table and shape", async () => {
    const simulator = await simulate();
    const client = await clientOf(simulator);
    simulator.set("voltage", 230.5);
    simulator.set("power", -123);
    simulator.set("level", 1.69);
    simulator.set("offset", 21.5);
    simulator.set("counter", 123.45);
    simulator.set("lamp", 1);
    simulator.set("relay.1", 1);
    const input = await client.readInputRegisters(0, 3);
    expect(input.buffer.readFloatBE(0)).toBe(230.5);
    expect(input.buffer.readInt16BE(4)).toBe(-123);
    const holding = await client.readHoldingRegisters(10, 10);
    expect(holding.data.slice(0, 5)).toEqual([1690, 615, 0, 12_345, 0xfffe]);
    expect(holding.buffer.subarray(12).toString()).toBe("kerb\0\0\0\0");
    expect((await client.readHoldingRegisters(40, 1)).data).toEqual([32]);
    expect((await client.readCoils(0, 2)).data.slice(0, 2)).toEqual([true, true]);
    expect((await client.readDiscreteInputs(4, 1)).data[0]).toBe(true);
    expect(simulator.counts).toEqual({ requests: 5, errors: 0 });
  });

  it("follows a scale factor that changes, and wanders again when it is let go", async () => {
    const simulator = await simulate();
    const client = await clientOf(simulator);
    simulator.set("counter", 500);
    expect((await client.readHoldingRegisters(12, 3)).data).toEqual([0, 50_000, 0xfffe]);
    simulator.set("factor", 1);
    expect((await client.readHoldingRegisters(12, 3)).data).toEqual([0, 50, 1]);
    simulator.set("voltage", 0);
    expect((await client.readInputRegisters(0, 2)).data).toEqual([0, 0]);
    simulator.set("voltage", undefined);
    const voltage = (await client.readInputRegisters(0, 2)).buffer.readFloatBE(0);
    expect(voltage).toBeGreaterThanOrEqual(218);
    expect(voltage).toBeLessThanOrEqual(238);
    expect(() => simulator.set("no such point", 1)).toThrow("no such point");
  });

  it("shows the same values for the same seed and others for another", async () => {
    const values = await Promise.all(
      [5, 5, 6].map(async (seed) => {
        const client = await clientOf(await simulate({}, { seed }));
        return (await client.readInputRegisters(0, 3)).data;
      }),
    );
    expect(values[0]).toEqual(values[1]);
    expect(values[0]).not.toEqual(values[2]);
  });

  it("writes registers and coils, which stay until the point is set", async () => {
    const simulator = await simulate();
    const client = await clientOf(simulator);
    await client.writeRegister(10, 4321);
    await client.writeRegisters(12, [1, 2]);
    await client.writeCoil(0, true);
    expect((await client.readHoldingRegisters(10, 4)).data).toEqual([4321, 400, 1, 2]);
    expect((await client.readCoils(0, 2)).data.slice(0, 2)).toEqual([true, true]);
    await client.writeCoils(0, [false, false]);
    expect((await client.readCoils(0, 2)).data.slice(0, 2)).toEqual([false, false]);
    simulator.set("level", 2);
    expect((await client.readHoldingRegisters(10, 1)).data).toEqual([2000]);
    await expect(client.writeRegister(60, 1)).rejects.toMatchObject({ modbusCode: 2 });
  });

  it("says who it is", async () => {
    const client = await clientOf(await simulate());
    const basic = await client.readDeviceIdentification(1, 0);
    expect(basic.data).toMatchObject({ 0: "kerb", 1: "SIM-1", 2: "2.1.8" });
    const extended = await client.readDeviceIdentification(3, 0);
    expect(extended.data).toMatchObject({ 0: "kerb", 2: "2.1.8", 128: "A0042" });
    expect((await client.readDeviceIdentification(4, 2)).data).toEqual({ 2: "2.1.8" });
    await expect(client.readDeviceIdentification(4, 77)).rejects.toMatchObject({ modbusCode: 2 });
  });

  it("spreads an identity over several answers when one does not hold it", async () => {
    const long = { vendor: "v".repeat(200), model: "m".repeat(100), firmware: "1.0" };
    const client = await clientOf(await simulate({}, { identity: long }));
    const whole = await client.readDeviceIdentification(2, 0);
    expect(whole.data).toMatchObject({ 0: long.vendor, 1: long.model, 2: "1.0", 5: long.model });
  });

  it("has no identity to give when it was given none", async () => {
    const client = await clientOf(await simulate({}, { identity: {} }));
    await expect(client.readDeviceIdentification(1, 0)).rejects.toMatchObject({ modbusCode: 1 });
  });
});

const hasMbpoll = spawnSync("mbpoll", ["-V"]).error === undefined;
const hasSocat = spawnSync("socat", ["-V"]).error === undefined;
if (!hasMbpoll) console.log("skipped: mbpoll is not installed");
if (!hasSocat) console.log("skipped: socat is not installed");

function mbpoll(args: string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn("mbpoll", [...args, "-0", "-1", "-q"]);
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
    child.on("close", () => resolve(text));
  });
}

describe.skipIf(!hasMbpoll)("mbpoll over TCP", () => {
  it("reads a float, a scaled register and a refusal", async () => {
    const simulator = await simulate();
    const tcp = ["-m", "tcp", "-p", String(portOf(simulator)), "-a", "1"];
    simulator.set("voltage", 231.25);
    simulator.set("level", 1.234);
    expect(await mbpoll([...tcp, "-t", "3:float", "-B", "-r", "0", "127.0.0.1"])).toMatch(/\[0\]:\s+231\.25/);
    expect(await mbpoll([...tcp, "-t", "4", "-r", "10", "127.0.0.1"])).toMatch(/\[10\]:\s+1234/);
    expect(await mbpoll([...tcp, "-t", "4", "-r", "500", "127.0.0.1"])).toMatch(/Illegal data address/);
  });
});

/** Two serial ports that are wired to each other. */
async function wire(): Promise<[string, string]> {
  const folder = mkdtempSync(join(tmpdir(), "kerb-modbus-"));
  const ends: [string, string] = [join(folder, "a"), join(folder, "b")];
  const socat: ChildProcess = spawn(
    "socat",
    ends.map((end) => `pty,raw,echo=0,link=${end}`),
  );
  cleanups.push(async () => {
    if (socat.exitCode === null) {
      socat.kill();
      await once(socat, "close");
    }
    rmSync(folder, { recursive: true, force: true });
  });
  await until(() => ends.every((end) => existsSync(end)));
  return ends;
}

describe.skipIf(!hasSocat)("RTU on a serial line", () => {
  it("serves two units on one line to modbus-serial, and no third", async () => {
    const [device, host] = await wire();
    const transport = { type: "rtu", port: device, baud: 19_200, parity: "none" };
    const [one, two] = await Promise.all([
      simulate({ transport, unit: 1 }),
      simulate({ transport, unit: 2 }),
    ]);
    expect(one.address).toBe(`${device} unit 1`);
    one.set("level", 1.5);
    two.set("level", 2.5);
    const client = new modbusSerial.default();
    await client.connectRTUBuffered(host, { baudRate: 19_200 });
    cleanups.push(() => new Promise<void>((resolve) => client.close(() => resolve())));
    client.setTimeout(2000);
    for (const [unit, raw] of [
      [1, 1500],
      [2, 2500],
    ] as const) {
      client.setID(unit);
      expect((await client.readHoldingRegisters(10, 1)).data).toEqual([raw]);
    }
    expect((await client.readDeviceIdentification(1, 0)).data).toMatchObject({ 0: "kerb" });
    await expect(client.readHoldingRegisters(60, 1)).rejects.toMatchObject({ modbusCode: 2 });
    two.fault("refuse");
    await expect(client.readHoldingRegisters(10, 1)).rejects.toMatchObject({ modbusCode: 4 });
    client.setTimeout(200);
    client.setID(3);
    await expect(client.readHoldingRegisters(10, 1)).rejects.toMatchObject({
      name: "TransactionTimedOutError",
    });
    await two.close();
    client.setID(1);
    expect((await client.readHoldingRegisters(10, 1)).data).toEqual([1500]);
  });
});

describe("RTU over TCP", () => {
  const transport = { type: "rtu-over-tcp", host: "127.0.0.1", port: 0 };
  const read = Buffer.from("010300640001c5d5", "hex");
  const good = Buffer.from("0103020007f986", "hex");

  it("answers modbus-serial", async () => {
    const simulator = await simulate({ transport });
    simulator.set("voltage", 229);
    const client = new modbusSerial.default();
    client.setTimeout(2000);
    await client.connectTelnet("127.0.0.1", { port: portOf(simulator) });
    cleanups.push(() => client.destroy(() => {}));
    client.setID(1);
    expect((await client.readInputRegisters(0, 2)).buffer.readFloatBE(0)).toBe(229);
    await client.writeRegisters(12, [3, 4]);
    expect((await client.readHoldingRegisters(12, 2)).data).toEqual([3, 4]);
  });

  it("finds a request behind noise, in pieces, and after half a one", async () => {
    const simulator = await simulate({ transport });
    const raw = await rawOf(simulator);
    raw.socket.write(Buffer.concat([Buffer.from("ff0001100a0a0aff00", "hex"), read]));
    await until(() => raw.received().length >= 7);
    expect(raw.received()).toEqual(good);
    for (const byte of read) raw.socket.write(Buffer.from([byte]));
    await until(() => raw.received().length >= 14);
    raw.socket.write(read.subarray(0, 5));
    raw.socket.write(read);
    await until(() => raw.received().length >= 21);
    expect(raw.received()).toEqual(Buffer.concat([good, good, good]));
    expect(simulator.counts.requests).toBe(3);
  });

  it("refuses a function that it does not know once the line is quiet", async () => {
    const raw = await rawOf(await simulate({ transport }));
    raw.socket.write(Buffer.from("01410001900c", "hex"));
    await until(() => raw.received().length >= 5);
    expect(raw.received().subarray(0, 3)).toEqual(Buffer.from([1, 0xc1, 1]));
  });

  it("carries out a broadcast and does not answer it", async () => {
    const simulator = await simulate({ transport });
    const raw = await rawOf(simulator);
    raw.socket.write(Buffer.from("0006006400ab887b", "hex"));
    raw.socket.write(read);
    await until(() => raw.received().length >= 7);
    expect(raw.received().subarray(0, 5)).toEqual(Buffer.from([1, 3, 2, 0, 0xab]));
  });
});

describe("several units on one listener", () => {
  it("share it, answer for themselves and name a unit that is not there", async () => {
    const one = await simulate({ unit: 1 });
    const transport = { type: "tcp", host: "127.0.0.1", port: portOf(one) };
    const two = await simulate({ transport, unit: 2 });
    one.set("level", 1);
    two.set("level", 2);
    expect((await (await clientOf(one, 1)).readHoldingRegisters(10, 1)).data).toEqual([1000]);
    expect((await (await clientOf(one, 2)).readHoldingRegisters(10, 1)).data).toEqual([2000]);
    await expect((await clientOf(one, 3)).readHoldingRegisters(10, 1)).rejects.toMatchObject({
      modbusCode: 11,
    });
    await expect(simulate({ transport, unit: 2 })).rejects.toThrow("simulated already");
    await expect(simulate({ transport: { ...transport, type: "rtu-over-tcp" }, unit: 5 })).rejects.toThrow(
      "framing",
    );
    two.fault("refuse");
    await expect((await clientOf(one, 2)).readHoldingRegisters(10, 1)).rejects.toMatchObject({
      modbusCode: 4,
    });
    await one.close();
    two.fault(undefined);
    await reconnect(two);
    expect((await (await clientOf(two, 2)).readHoldingRegisters(10, 1)).data).toEqual([2000]);
    await two.close();
    await two.close();
    await expect(rawOf(two)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  it("a single unit takes 0 and 255 for itself and is silent to another's number", async () => {
    const simulator = await simulate({ unit: 7 });
    const raw = await rawOf(simulator);
    for (const [transaction, unit] of [
      [1, 0],
      [2, 8],
      [3, 255],
      [4, 7],
    ] as const) {
      raw.socket.write(request(transaction, unit));
    }
    await until(() => raw.received().length >= 33);
    expect(raw.received()).toEqual(Buffer.concat([answer(1, 0), answer(3, 255), answer(4, 7)]));
  });
});

describe("quirks", () => {
  it("refuses functions, lengths and odd addresses that the device does not take", async () => {
    const simulator = await simulate({ functions: [3], maxRegistersPerRead: 4, evenCount: true });
    const client = await clientOf(simulator);
    await expect(client.readInputRegisters(0, 2)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.readDeviceIdentification(1, 0)).rejects.toMatchObject({ modbusCode: 1 });
    await expect(client.readHoldingRegisters(10, 6)).rejects.toMatchObject({ modbusCode: 3 });
    await expect(client.readHoldingRegisters(10, 3)).rejects.toMatchObject({ modbusCode: 3 });
    await expect(client.readHoldingRegisters(11, 2)).rejects.toMatchObject({ modbusCode: 2 });
    expect((await client.readHoldingRegisters(10, 4)).data).toHaveLength(4);
    expect(simulator.counts).toEqual({ requests: 6, errors: 5 });
  });

  it("reads 0 in gaps near a point and refuses what lies further out", async () => {
    const client = await clientOf(await simulate());
    expect((await client.readHoldingRegisters(20, 20)).data).toEqual(Array.from({ length: 20 }, () => 0));
    expect((await client.readHoldingRegisters(84, 17)).data.at(-1)).toBe(7);
    for (const register of [9, 57, 83, 101]) {
      await expect(client.readHoldingRegisters(register, 1), String(register)).rejects.toMatchObject({
        modbusCode: 2,
      });
    }
  });

  it("uses the word order of the settings where a point names none", async () => {
    const client = await clientOf(
      await simulate(
        { order: "CDAB" },
        {
          points: [
            point("a", { table: "holding", register: 0, type: "uint32" }, { fixed: 0x01020304 }),
            point(
              "b",
              { table: "holding", register: 2, type: "uint32", order: "BADC" },
              { fixed: 0x01020304 },
            ),
          ],
        },
      ),
    );
    expect((await client.readHoldingRegisters(0, 4)).buffer.toString("hex")).toBe("0304010202010403");
  });
});

describe("where it listens", () => {
  it("is the loopback unless the host is an address of this machine", () => {
    expect(localHost("192.0.2.1")).toBe("127.0.0.1");
    expect(localHost("0.0.0.0")).toBe("127.0.0.1");
    expect(localHost("meter.example")).toBe("127.0.0.1");
    expect(localHost("127.0.0.2")).toBe("127.0.0.2");
  });

  it("rejects a port that is taken by somebody else", async () => {
    const simulator = await simulate();
    const transport = { type: "tcp", host: "127.0.0.2", port: portOf(simulator) };
    const other = await simulate({ transport });
    expect(other.address).toBe(`127.0.0.2:${portOf(simulator)} unit 1`);
    await expect(simulate({ transport: { type: "rtu", port: "/dev/does-not-exist" } })).rejects.toThrow(
      /does-not-exist/,
    );
  });
});
