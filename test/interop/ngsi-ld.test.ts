import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { quality, type EventReading, type KerbEvent } from "../../gateway/event.ts";
import { listProfiles, loadProfile, type Profile } from "../../gateway/profiles/profiles.ts";
import { applyEvent, emptyState, type KnownDevice } from "../../gateway/receiver/device-state.ts";
import { deviceKinds, modelsByClass } from "../../gateway/receiver/ngsi-ld/models.ts";
import { project, projectEvent } from "../../gateway/receiver/ngsi-ld/project.ts";
import { keyValues, normalised } from "../../gateway/receiver/ngsi-ld/write.ts";
import { hasModels, problemOf } from "./smart-data-models.ts";
import { atMs, checks, event, known, ofType, plain, problems } from "./ngsi-ld-rig.ts";

/** A value that a device of this model shows, in the unit of its point. */
function valueOf({ kind, values, typical, fixed, limits }: Profile["points"][number]): EventReading["value"] {
  if (kind === "boolean") return false;
  if (values !== undefined) return Object.values(values)[0] ?? "";
  if (kind === "text") return String(fixed ?? "text");
  return typical?.[0] ?? limits?.[0] ?? (typeof fixed === "number" ? fixed : 1);
}

function eventsOf(profile: Profile): KerbEvent[] {
  const readings = profile.points
    .filter(({ publish }) => publish)
    .map((point) => ({ point: point.name, unit: point.unit, value: valueOf(point) }));
  const records = profile.records.map((record, index): KerbEvent => {
    const { readings: _readings, ...base } = event([], { seq: index + 2, kind: record.kind });
    const values = record.fields
      .filter(({ privacy }) => privacy !== "drop")
      .map((field) => [
        field.name,
        field.privacy === "token"
          ? { token: "hmac-sha256:x" }
          : { value: valueOf(field as never), unit: field.unit },
      ]);
    const { name, category, severity } = record;
    return {
      ...base,
      data: { record: name, category, severity, state: "active", values: Object.fromEntries(values) },
    };
  });
  return [event(readings), ...records];
}

describe.skipIf(!hasModels)("the strict wrap", () => {
  test("sees a misspelt attribute, which the models as they stand accept", () => {
    const entity = ofType(
      projectEvent(known("air-quality"), event([{ point: "pm25", value: 35.2, unit: "ug/m3" }])),
      "AirQualityObserved",
    );
    expect(problemOf(checks, entity!)).toBeUndefined();
    const { pm25, ...rest } = entity!;
    expect(problemOf(checks, { ...rest, pm2_5: pm25 })).toMatch(/unevaluated/);
    expect(problemOf(checks, { ...rest, type: "AirQualityObserve" })).toMatch(/no model/);
  });
});

describe("the projection of each shipped profile", () => {
  const ids = listProfiles();
  test.each(ids)("%s: every entity passes its model strictly, and no value of the device is lost", (id) => {
    const profile = loadProfile(id);
    const state = emptyState();
    const events = eventsOf(profile);
    for (const one of events) applyEvent(state, one, atMs + 5000);
    const result = project(known(profile.class), state);
    expect(problems(result)).toEqual([]);
    expect(ofType(result, "Device")).toMatchObject({ deviceState: "ok" });
    const text = JSON.stringify(plain(result));
    expect(text).not.toContain("hmac-sha256");
    // Each class has a model of its own, but for those that only have a Device and its measurements.
    const own = modelsByClass[profile.class] ?? [];
    const types = new Set(plain(result).map(({ type }) => type));
    const told = [...types].filter((type) => own.some((model) => model.type === type));
    expect([id, own.length === 0 || told.length > 0 || result.withheld.length > 0]).toEqual([id, true]);
  });

  test("every class of profiles is a kind of Device, but for the plain cabinet", () => {
    const classes = new Set(ids.map((id) => loadProfile(id).class));
    expect([...classes].filter((one) => !(one in deviceKinds))).toEqual(["cabinet"]);
  });
});

interface Worked {
  name: string;
  cloudevent: { data: Record<string, unknown>; time: string };
  ngsild: Record<string, unknown> | null;
}

/** What the worked projections have otherwise than kerb, and why. */
const differences: Record<
  string,
  { type?: string; class: string; not?: string[]; levels?: KnownDevice["levels"]; why?: string }
> = {
  AirQuality: {
    class: "air-quality",
    not: ["airQualityIndex"],
    why: "an index is no reading: kerb does not compute one here",
  },
  WaterLevel: {
    class: "water-level",
    levels: { reference: 4, alert: 3, danger: 3.5 },
    not: ["stationID"],
    why: "the station is the device's id as it is",
  },
  WaterQuality: { class: "water-quality" },
  Weather: { class: "weather" },
  Streetlight: { class: "street-light" },
  LightCabinet: {
    class: "light-cabinet",
    not: ["refStreetlightGroup"],
    why: "kerb names the groups by the cabinet that they hang on",
  },
  TrafficFlow: { class: "detector", not: ["laneId"], why: "a detector logic is no lane" },
  SignalController: { class: "signal-controller", type: "Device" },
  WIM: {
    class: "weigh-station",
    type: "none",
    why: "AnprFlowObserved holds no weight, and its plate was read: kerb's own VehicleWeighing",
  },
  Camera: { class: "camera", type: "Alert" },
  "Router/UPS": { class: "router", type: "Device", not: ["dateObserved"] },
};

interface Measurement {
  property: string;
  value: number | boolean | null;
  unit: string;
  period?: string;
  quality: { status: string; code?: string; reason?: string };
}

const periods: Record<string, number> = { PT5M: 300_000, PT10M: 600_000, PT1H: 3_600_000 };

describe.skipIf(!hasModels)("the worked examples", () => {
  const file = fileURLToPath(new URL("../../../shared/schemas/worked-examples.json", import.meta.url));
  const examples = hasModels ? (JSON.parse(readFileSync(file, "utf8")) as Worked[]) : [];

  test.each(examples)("$name", ({ name, cloudevent, ngsild }) => {
    const { data, time } = cloudevent;
    const told = differences[name];
    if (told === undefined || ngsild === null) return expect([name, ngsild]).toEqual(["MessageSign", null]);
    const state = emptyState();
    const measurements = (data["measurements"] ?? []) as Measurement[];
    const kind = data["alarm"] === undefined ? "telemetry" : "alarm";
    const one = event(
      measurements.map(({ property, value, unit, quality: { status, code, reason } }) => ({
        point: property,
        value,
        unit,
        quality: status === "bad" ? quality.bad : 0,
        detail: { ...(code === undefined ? {} : { code }), ...(reason === undefined ? {} : { reason }) },
      })),
      { kind, timeMs: Date.parse(time) },
    );
    if (kind === "alarm")
      Object.assign(one, { data: { record: "tamper", ...(data["alarm"] as object), values: {} } });
    // Mode and groups are no readings of the example's meter, but of the cabinet that it sits in.
    if (name === "LightCabinet")
      one.readings?.push(
        { ...one.readings[0]!, point: "workingMode", value: "automatic", unit: "1" },
        { ...one.readings[0]!, point: "lightOn.group1", value: true, unit: "1" },
      );
    if (name === "SignalController")
      one.readings?.push({ ...event([{}]).readings![0]!, point: "plan", value: 2 });
    applyEvent(state, one, Date.parse(time) + 5000);
    for (const { property, period } of measurements)
      if (period !== undefined)
        state.points[property] = { ...state.points[property]!, periodMs: periods[period]! };
    const result = project(
      known(told.class, told.levels === undefined ? {} : { levels: told.levels }),
      state,
    );
    expect(problems(result)).toEqual([]);
    if (told.type === "none") return expect(ofType(result, "VehicleWeighing")).toBeUndefined();
    const ours = ofType(result, told.type ?? String(ngsild["type"]));
    const { id: _id, refDevice: _ref, alertSource: _source, ...wanted } = ngsild;
    for (const attribute of told.not ?? []) delete wanted[attribute];
    // Times are the same moment; kerb writes them in UTC.
    for (const [key, value] of Object.entries(wanted))
      if (typeof value === "string" && value.endsWith("+07:00")) wanted[key] = new Date(value).toISOString();
    if (name === "Router/UPS") expect(ours?.["rssi"]).toBe(-67);
    expect(ours).toMatchObject(wanted);
  });
});

describe("what the projection does not do", () => {
  test("a bad value is left out, an uncertain one is marked in both forms", () => {
    const result = projectEvent(
      known("air-quality"),
      event([
        { point: "pm25", value: 35.2, unit: "ug/m3" },
        // A foreign encoder may give a value with it all the same.
        { point: "so2", value: 9999, unit: "ug/m3", quality: quality.bad },
        {
          point: "co",
          value: null,
          unit: "ug/m3",
          quality: quality.bad,
          detail: { code: "E0x40", reason: "flow error" },
        },
        {
          point: "pm10",
          value: 61,
          unit: "ug/m3",
          quality: quality.uncertain,
          detail: { reason: "outside of limits" },
        },
      ]),
    );
    const entity = result.entities.find(({ type }) => type === "AirQualityObserved")!;
    expect(keyValues(entity)).toMatchObject({
      pm25: 35.2,
      pm10: 61,
      description: "Uncertain: pm10 (outside of limits).",
    });
    expect(keyValues(entity)).not.toHaveProperty("co");
    expect(keyValues(entity)).not.toHaveProperty("so2");
    expect(normalised(entity)["pm10"]).toEqual({
      type: "Property",
      value: 61,
      unitCode: "GQ",
      observedAt: "2026-11-21T00:00:00.000Z",
      quality: { type: "Property", value: "uncertain" },
      reason: { type: "Property", value: "outside of limits" },
    });
    expect(normalised(entity)["pm25"]).not.toHaveProperty("quality");
    expect(result.withheld).toContainEqual({ what: "co", reason: "its newest value is bad" });
  });

  test("units are converted within a quantity and never beyond", () => {
    const readings = [
      { point: "activePower.total", value: 1840.5, unit: "W" },
      { point: "workingMode", value: "automatic" },
      { point: "lightOn.group1", value: true },
    ];
    expect(
      ofType(projectEvent(known("light-cabinet"), event(readings)), "StreetlightControlCabinet"),
    ).toMatchObject({ totalActivePower: 1.8405 });
    const air = projectEvent(
      known("air-quality"),
      event([
        { point: "ozone", value: 31, unit: "[ppb]" },
        { point: "pm25", value: 20, unit: "ug/m3{N}" },
        { point: "humidity", value: 72, unit: "%" },
      ]),
    );
    expect(ofType(air, "AirQualityObserved")).toMatchObject({ relativeHumidity: 0.72 });
    expect(ofType(air, "AirQualityObserved")).not.toHaveProperty("o3");
    expect(ofType(air, "AirQualityObserved")).not.toHaveProperty("pm25");
    expect(air.withheld).toContainEqual({ what: "ozone", reason: '"[ppb]" is not converted to "ug/m3"' });
    // It is still there to be read, as what it was measured as.
    expect(plain(air).find(({ id }) => id.endsWith(":ozone"))).toMatchObject({
      type: "DeviceMeasurement",
      numValue: 31,
      unit: "[ppb]",
    });
  });

  test("a count without its span, a level without its thresholds and a device without a place claim nothing", () => {
    const flow = projectEvent(
      known("signal-controller"),
      event([
        { point: "vehicleCount.detector1", value: 12 },
        { point: "occupancy.detector1", value: 18, unit: "%" },
      ]),
    );
    expect(ofType(flow, "TrafficFlowObserved")).toMatchObject({ occupancy: 0.18 });
    expect(ofType(flow, "TrafficFlowObserved")).not.toHaveProperty("intensity");
    const level = projectEvent(
      known("water-level"),
      event([{ point: "waterLevel", value: 169, unit: "cm" }]),
    );
    expect(ofType(level, "FloodMonitoring")).toMatchObject({ currentLevel: 1.69 });
    expect(ofType(level, "FloodMonitoring")).not.toHaveProperty("floodLevelStatus");
    const { place: _place, ...nowhere } = known("weather");
    const weather = projectEvent(nowhere, event([{ point: "windSpeed", value: 2, unit: "m/s" }]));
    expect(ofType(weather, "WeatherObserved")).toBeUndefined();
    expect(weather.withheld[0]?.reason).toMatch(/needs a location/);
  });

  test("times are those of the observation; an unset clock, an old value and an absent device are said", () => {
    const state = emptyState();
    const later = atMs + 30 * 60_000;
    applyEvent(
      state,
      event([
        { point: "windSpeed", value: 2, unit: "m/s" },
        { point: "windDirection", value: 90, unit: "deg" },
      ]),
      later,
    );
    applyEvent(
      state,
      event([{ point: "windSpeed", value: 3, unit: "m/s" }], { seq: 2, timeMs: later, clock: "unsynced" }),
      later,
    );
    const lost = {
      kind: "gap" as const,
      seq: 3,
      timeMs: later,
      data: { cause: "device_offline", open: true, code: "timeout" },
    };
    applyEvent(state, { ...event([]), ...lost }, later);
    const entity = ofType(project(known("weather"), state), "WeatherObserved");
    expect(entity).toMatchObject({ windSpeed: 3, dateObserved: new Date(later).toISOString() });
    const description = String(entity?.["description"]);
    expect(description).toContain("Older: windDirection (2026-11-21T00:00:00.000Z).");
    expect(description).toContain("clock was not set");
    expect(description).toContain("Not current: the device is offline since");
    expect(ofType(project(known("weather"), state), "Device")).toMatchObject({ deviceState: "offline" });
    expect(ofType(project(known("weather", { gatewayOnline: false }), state), "Device")).toMatchObject({
      deviceState: "gateway-offline",
    });
    // What has not been told for more than a day is not shown with what is new.
    applyEvent(
      state,
      event([{ point: "windSpeed", value: 4, unit: "m/s" }], { seq: 4, timeMs: atMs + 25 * 3_600_000 }),
      atMs + 26 * 3_600_000,
    );
    expect(ofType(project(known("weather"), state), "WeatherObserved")).not.toHaveProperty("windDirection");
  });

  test("a plate never goes in, neither as a token nor in clear", () => {
    const values = {
      plate: { value: "51C-123.45" },
      vehicle: { token: "hmac-sha256:abc" },
      grossWeight: { value: 24.47, unit: "t" },
      speed: { value: 42, unit: "km/h" },
    };
    const { readings: _readings, ...base } = event([], { kind: "transaction" });
    const ticket = projectEvent(known("weigh-station"), {
      ...base,
      data: { record: "ticket", privacy: "personal", legalBasis: "x", values },
    });
    expect(ofType(ticket, "VehicleWeighing")).toMatchObject({ grossWeight: 24_470, speed: 42 });
    const alarm = projectEvent(known("camera"), {
      ...base,
      kind: "alarm",
      data: { record: "plate", category: "tamper", privacy: "personal", values },
    });
    expect(problems(ticket).concat(problems(alarm))).toEqual([]);
    expect(JSON.stringify([ticket, alarm])).not.toMatch(/51C|hmac/);
  });
});
