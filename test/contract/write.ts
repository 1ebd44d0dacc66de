import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { Connection } from "../../gateway/driver.ts";
import { codeOf, patient, type ContractTable, type Rig, type Subject } from "./contract.ts";
import type { Check, Open } from "./push.ts";

/** The part of the contract suite for drivers whose devices act: `Connection.write`. */

const abortMs = 200;

type WriteTable = NonNullable<ContractTable["write"]>;

/** What the simulator was told to change. */
const written = (rig: Rig) => rig.simulator().writes?.all ?? [];

export function checkWrite({ schemas }: Subject, table: WriteTable, check: Check, openRig: Open): void {
  const { profile, point: name, values, readOnly } = table;
  const open = (timeoutMs = 2000) => openRig({ profile, timeoutMs });
  const write = (rig: Rig, connection: Connection<unknown>, value: number, signal = patient()) =>
    connection.write!(rig.pick(name)[0]!, value, signal);

  check("writes a value once each time, and reads it back", async () => {
    const rig = await open();
    const connection = await rig.connect();
    for (const [i, value] of values.entries()) {
      await write(rig, connection, value);
      expect(written(rig)).toHaveLength(i + 1);
      const { answers } = await connection.read(rig.pick(name), { signal: patient() });
      expect(answers.map((answer) => (typeof answer === "object" ? answer.value : answer))).toEqual([value]);
    }
    expect(written(rig).every(({ isTaken }) => isTaken)).toBe(true);
  });

  if (readOnly !== undefined)
    check("refuses to write what is only read, without a word to the device", async () => {
      const rig = await open();
      const connection = await rig.connect();
      const point = { name: "readOnly", address: schemas.address.parse(readOnly) };
      expect(await codeOf(connection.write!(point, 1, patient()))).toBe("unsupported");
      expect(written(rig)).toEqual([]);
    });

  check("a write that is not answered says so, and is not sent again", async () => {
    const rig = await open(500);
    const connection = await rig.connect();
    await connection.read(rig.pick(name), { signal: patient() });
    rig.simulator().writes!.heard = () => rig.simulator().fault("silent");
    expect(["silent", "hung-up", "garbage"]).toContain(await codeOf(write(rig, connection, values[0])));
    await sleep(700);
    expect(written(rig)).toHaveLength(1);
  });

  check("a write gives up when it is aborted, and its late answer is nobody else's", async () => {
    const rig = await open(4000);
    const connection = await rig.connect();
    await connection.read(rig.pick(name), { signal: patient() });
    await rig.fault("slow", 600);
    const aborting = new AbortController();
    const pending = codeOf(write(rig, connection, values[0], aborting.signal));
    await sleep(50);
    const abortedAt = performance.now();
    aborting.abort();
    expect(await pending).toBe("aborted");
    expect(performance.now() - abortedAt).toBeLessThan(abortMs);
    await rig.fault(undefined);
    await connection.close();
    const next = await rig.connects();
    await expect.poll(() => written(rig).length, { timeout: 3000 }).toBeLessThanOrEqual(1);
    await write(rig, next, values[1]);
    const { answers } = await next.read(rig.pick(name), { signal: patient() });
    expect([values[0], values[1]]).toContain(typeof answers[0] === "object" ? answers[0].value : answers[0]);
    expect(await codeOf(write(rig, next, values[0], AbortSignal.abort()))).toBe("aborted");
  });
}
