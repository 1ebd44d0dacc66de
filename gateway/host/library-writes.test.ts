import { afterEach, describe, expect, test } from "vitest";
import { seededRandom } from "../../simulators/simulator.ts";
import { loadProfile, listProfiles } from "../profiles/profiles.ts";
import type { HostPoint } from "./messages.ts";
import { online, rigOf, type Rig } from "./test-writing.ts";

/**
 * Every value that a device of the library's Modbus profiles can show can be written to it: it is what the simulator
 * shows after it, and what is read. Input registers are tried as holding ones, so that each type, order, scale and
 * enumeration of the library has its turn.
 */

let rig: Rig | undefined;
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

interface Place {
  table: string;
  register: number;
  type: string;
  bit?: number;
  length?: number;
}

const profiles = listProfiles()
  .map((id) => loadProfile(id))
  .filter(({ driver }) => driver === "modbus");

/** The profile's address in a table that can be written. */
function inWritableTable(address: unknown): unknown {
  const { table, ...rest } = address as Place;
  return { table: table === "input" ? "holding" : table === "discrete" ? "coil" : table, ...rest };
}

const isWritable = ({ derive }: HostPoint): boolean => derive === undefined;

/** Engineering values that the point can show, among them the ends. */
function shownValues({ kind, limits, values, sentinels }: HostPoint, raw: () => number): (number | string)[] {
  if (values !== undefined)
    return Object.keys(values)
      .filter((key) => /^\d+$/.test(key))
      .map(Number);
  if (kind === "boolean") return [1, 0];
  if (kind === "text") return ["kerb", "x"];
  const [low, high] = limits ?? [0, 200];
  const inside = Array.from({ length: 3 }, () => low + raw() * (high - low));
  return [low, ...inside, high].filter((value) => !sentinels.some((one) => one.raw === value));
}

describe("values of the library", () => {
  test("there are profiles to try", () => {
    expect(profiles.length).toBeGreaterThan(5);
  });

  test.each(profiles.map((profile) => [profile.id, profile] as const))(
    "%s",
    { timeout: 60_000 },
    async (_, profile) => {
      const { id, points, settings } = profile;
      const random = seededRandom(id.length * 7919);
      const transport = { type: "tcp", host: "127.0.0.1", port: 0 };
      const own = { ...settings, transport, functions: [1, 2, 3, 4, 5, 6, 15, 16, 22] };
      rig = await rigOf({
        driver: "modbus",
        settings: own,
        placed: (address) => ({
          transport: { ...transport, port: Number(/:(\d+) unit/.exec(address)?.[1]) },
        }),
        points: points
          .filter(({ when }) => when === undefined)
          .map(({ label: _1, texts: _2, source: _3, certainty: _4, ...point }) => ({
            ...point,
            when: undefined,
            address: point.derive === undefined ? inWritableTable(point.address) : undefined,
            write: { interlock: [] },
            simulated: point.fixed === undefined ? {} : { fixed: point.fixed as number | string },
          })),
      });
      await online(rig);
      const tried = { done: 0, refused: 0 };
      for (const point of rig.points.filter(isWritable)) {
        for (const shown of shownValues(point, random)) {
          const read = async () => (await rig!.loop.readNow([point.name], false))[0];
          try {
            rig.simulator.set(point.name, shown);
          } catch {
            continue;
          }
          const before = await read();
          // A value that its own profile calls none is not commanded.
          if (before?.status !== "good" || before.value === null) continue;
          rig.simulator.set(point.name, undefined);
          const count = rig.written().length;
          const outcome = await rig.write(point.name, before.value);
          const what = `${point.name} = ${String(before.value)}: ${outcome.reason}`;
          if (outcome.code === "value" && /has \d values of that name/.test(outcome.reason ?? "")) {
            tried.refused++;
            continue;
          }
          expect(outcome.state, what).toBe("done");
          expect(rig.written().length, what).toBe(count + 1);
          expect((await read())?.value, what).toBe(before.value);
          rig.simulator.set(point.name, undefined);
          tried.done++;
        }
      }
      expect(tried.done).toBeGreaterThan(3);
      console.info(`${id}: ${tried.done} values written, ${tried.refused} refused`);
    },
  );
});
