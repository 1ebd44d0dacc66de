import { describe, expect, it } from "vitest";
import { listProfiles, loadProfile } from "../gateway/profiles/profiles.ts";
import { openRig } from "./round-trip/rig.ts";
import { pointsTrip, recordTrip } from "./round-trip/trip.ts";

/**
 * Every profile runs as a simulator by its name, and what is set there comes back through its driver and kerb's
 * normalising within the point's resolution. KERB_ROUND_TRIPS=1000 goes round so often; KERB_SEED starts elsewhere.
 */

const seed = Number(process.env["KERB_SEED"] ?? 1);
const asked = Number(process.env["KERB_ROUND_TRIPS"] ?? 0);

/** Streams tell every half second or second, and a poll of the rest takes a few milliseconds. */
const roundsOf = (driver: string): number => asked || (driver === "serial" || driver === "rsmp" ? 8 : 24);

describe.concurrent("from the simulator through the driver", () => {
  for (const id of listProfiles()) {
    const { driver, records, points } = loadProfile(id);
    it(
      `${id} gives back what is set`,
      async () => {
        const rig = await openRig(id, seed);
        try {
          expect(rig.field.doubt).toBeUndefined();
          const faults: string[] = [];
          for (let round = 0; points.length > 0 && round < roundsOf(driver) && faults.length < 20; round++)
            faults.push(...(await pointsTrip(rig, seed, round)));
          for (const definition of records)
            for (let round = 0; round < 2; round++)
              faults.push(...(await recordTrip(rig, definition, seed, round)));
          expect(faults.slice(0, 40).join("\n")).toBe("");
        } finally {
          await rig.close();
        }
      },
      120_000 + asked * 2000,
    );
  }
});

describe("a pretend device says no, in a sentence with the point's name, to what its wire cannot carry", () => {
  it.each([
    ["dfrobot/sen0676", "distance", 65.536, "its raw value would be 65536, and the wire carries 0 to 65535"],
    ["sunspec/meter-203", "voltage.L1", 3276.8, "its raw value would be 32768"],
    ["ups/rfc1628", "input.lineBads", -1, "its raw value would be -1, and the wire carries 0 to 4294967295"],
    ["generic/json-meter", "voltage.L1", NaN, "cannot show NaN"],
    ["rsmp/tlc", "signalState.group1", "GG", "one character"],
    ["rsmp/tlc", "vehicleCount.detector1", "1,2", "one entry of a list"],
  ] as const)("%s %s at %s", async (id, point, value, why) => {
    const rig = await openRig(id, seed);
    try {
      expect(() => rig.simulator.set(point, value)).toThrow(`${point} cannot show`);
      expect(() => rig.simulator.set(point, value)).toThrow(why);
    } finally {
      await rig.close();
    }
  });
});
