import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quality, type KerbEvent } from "../../gateway/event.ts";
import { applyEvent, emptyState } from "../../gateway/receiver/device-state.ts";
import { modelsByClass } from "../../gateway/receiver/ngsi-ld/models.ts";
import { project } from "../../gateway/receiver/ngsi-ld/project.ts";
import { keyValues, normalised } from "../../gateway/receiver/ngsi-ld/write.ts";
import { units } from "../../gateway/profiles/units.ts";
import { problemOf } from "./smart-data-models.ts";
import { type Plain, atMs, checks, event, known } from "./ngsi-ld-rig.ts";

/** Whatever a device says, its entities pass the models. */

const anyNumber = fc.oneof(
  fc.double(),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 1e308, -1, 0, 100, 101),
  fc.double({ min: 0, max: 200, noNaN: true }),
);
const anyValue = fc.oneof({ weight: 5, arbitrary: anyNumber }, fc.string(), fc.boolean(), fc.constant(null));
const anyUnit = fc.oneof(fc.constantFrom(...units), fc.string({ maxLength: 5 }));
const anyTime = fc.oneof(
  fc.integer({ min: atMs - 1e11, max: atMs }),
  fc.constantFrom(Number.NaN, -1, 8.64e15, 1e300, Number.NEGATIVE_INFINITY, 0),
);

const namesOf = (className: string) => [
  ...(modelsByClass[className] ?? []).flatMap(({ sources, gathered, records: _records }) => [
    ...sources.flatMap(({ from }) => from.map((name) => name.replace("*", "g1"))),
    ...(gathered ?? []).flatMap(({ prefixes }) => prefixes.map((prefix) => `${prefix}.1`)),
  ]),
  "intensity.lane1",
  "vehicleCount.detector1",
  "lampFailure",
  "dimLevel",
  "lightOn.g1",
  "workingMode",
  "period",
  "batteryLevel",
  "rssi",
  "other",
  "__proto__",
  "constructor",
];

const fold = (list: readonly KerbEvent[]) => {
  const state = emptyState();
  for (const each of list) applyEvent(state, each, atMs + 1e6);
  return state;
};

describe("whatever a device says", () => {
  const classes = Object.keys(modelsByClass);

  test.each(classes)("every entity of %s passes its model, or is withheld with a reason", (className) => {
    const reading = fc.record({
      point: fc.constantFrom(...namesOf(className)),
      value: anyValue,
      unit: anyUnit,
      quality: fc.constantFrom(0, 0, 0, quality.bad, quality.uncertain, quality.substituted),
      timeMs: anyTime,
    });
    // Half of the readings have the unit that the model wants, so that values get past the units.
    const likely = fc
      .record({
        source: fc.constantFrom(...(modelsByClass[className] ?? []).flatMap(({ sources }) => sources), {
          to: "x",
          from: ["rssi"],
        }),
        value: anyValue,
      })
      .map(({ source, value }) => ({
        point: (source.from[0] ?? "").replace("*", "g1"),
        value,
        unit: "unit" in source ? (source.unit ?? "1") : "1",
        quality: 0,
        timeMs: atMs,
      }));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(reading, likely), { maxLength: 30 }),
        fc.constantFrom("synced" as const, "unsynced" as const),
        fc.boolean(),
        fc.dictionary(
          fc.constantFrom(...namesOf(className), "grossWeight", "gross", "axle1.weight"),
          fc.oneof(
            fc.record({
              value: anyValue,
              unit: anyUnit,
              quality: fc.constantFrom(
                undefined,
                null,
                7,
                { status: "uncertain", reason: 7 },
                { status: "bad" },
              ),
            }),
            anyValue,
          ),
        ),
        (readings, clock, hasPlace, values) => {
          const state = emptyState();
          applyEvent(state, event(readings, { clock }), atMs);
          const { readings: _readings, ...base } = event([], { seq: 2, kind: "transaction", clock });
          for (const [seq, record] of ["ticket", "weighing", "emptied"].entries())
            applyEvent(state, { ...base, seq: seq + 2, data: { record, values } }, atMs);
          applyEvent(
            state,
            {
              ...base,
              seq: 9,
              kind: "alarm",
              data: { record: "tamper", category: clock, severity: "worst", state: 7, values },
            },
            atMs,
          );
          applyEvent(
            state,
            { ...base, seq: 10, kind: "alarm", data: { record: "doorOpen", category: "access", values } },
            atMs,
          );
          const { place: _place, ...nowhere } = known(className);
          // The state is stored as JSON.
          const stored = JSON.parse(JSON.stringify(state)) as typeof state;
          for (const one of [state, stored]) {
            const result = project(hasPlace ? known(className) : nowhere, one);
            const entities = result.entities.map(
              (entity) => JSON.parse(JSON.stringify(keyValues(entity))) as Plain,
            );
            expect(entities.flatMap((entity) => problemOf(checks, entity) ?? [])).toEqual([]);
            for (const { reason } of result.withheld) expect(reason).not.toBe("");
            for (const entity of result.entities) normalised(entity);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  test("in whatever order events arrive, the state is that of the newest observation", () => {
    const one = fc.record({
      seq: fc.integer({ min: 1, max: 50 }),
      timeMs: fc.integer({ min: atMs, max: atMs + 20 }),
      value: fc.integer({ min: 0, max: 9 }),
      clock: fc.constantFrom("synced" as const, "holdover" as const),
    });
    fc.assert(
      fc.property(
        fc.uniqueArray(one, { selector: ({ seq }) => seq, minLength: 1, maxLength: 12 }),
        fc.gen(),
        (told, gen) => {
          const events = told.map(({ seq, timeMs, value, clock }) =>
            event([{ point: "waterLevel", value, unit: "m" }], { seq, timeMs, clock }),
          );
          const shuffled = gen(fc.shuffledSubarray, events, { minLength: events.length });
          expect(fold(shuffled)).toEqual(fold(events));
          expect(fold(shuffled).points["waterLevel"]?.timeMs).toBe(
            Math.max(...told.map(({ timeMs }) => timeMs)),
          );
        },
      ),
    );
  });

  test("a time of the future bars nothing that comes after it", () => {
    const state = emptyState();
    applyEvent(state, event([{ point: "waterLevel", value: 1, unit: "m" }], { timeMs: atMs + 1e12 }), atMs);
    applyEvent(
      state,
      event([{ point: "waterLevel", value: 2, unit: "m" }], { seq: 2, timeMs: atMs + 60_000 }),
      atMs + 61_000,
    );
    expect(state.points["waterLevel"]).toMatchObject({ value: 2, timeMs: atMs + 60_000 });
  });
});
