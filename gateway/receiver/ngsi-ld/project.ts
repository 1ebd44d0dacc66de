import {
  applyEvent,
  emptyState,
  type DeviceState,
  type KnownDevice,
  type PointState,
  type RecordState,
} from "../device-state.ts";
import { derivations, gather, partsOf } from "./derive.ts";
import { entityId, isTime, observed, Values, type Attribute, type Entity, type Withheld } from "./entity.ts";
import {
  alertCategories,
  alertSubCategories,
  deviceKinds,
  deviceSources,
  modelsByClass,
  type Model,
} from "./models.ts";
import type { KerbEvent } from "../../event.ts";

/** The entities of a device, and what could not be given in them. */
export interface Projection {
  entities: Entity[];
  withheld: Withheld[];
}

/**
 * The NGSI-LD entities of a device out of its latest values: those of its class, its Device, one per alarm, and a
 * DeviceMeasurement for each value that no model of its class takes. Pure; never throws.
 */
export function project(known: KnownDevice, state: DeviceState): Projection {
  const values = new Values(state.points);
  const withheld: Withheld[] = [];
  const entities: Entity[] = [];
  const give = (made: Entity | Withheld) =>
    "attributes" in made ? entities.push(made) : withheld.push(made);
  give(device(known, state, values));
  const models = Object.hasOwn(modelsByClass, known.class) ? (modelsByClass[known.class] ?? []) : [];
  for (const model of models) {
    const parts = model.parts === undefined ? [""] : partsOf(Object.keys(state.points), model.parts);
    for (const part of parts) give(modelled(model, known, state, values, part));
  }
  for (const [name, record] of Object.entries(state.records)) {
    if (record.kind === "alarm") give(alarm(known, state, name, record));
  }
  for (const name of Object.keys(state.points)) {
    if (values.used.has(name)) continue;
    const point = values.get(name);
    if (point !== undefined) give(measurement(known, state, name, point));
  }
  return { entities, withheld: unique([...withheld, ...values.withheld]) };
}

/** The projection of one event alone: what the entity would be if nothing else had been told. */
export function projectEvent(known: KnownDevice, event: KerbEvent): Projection {
  const state = emptyState();
  applyEvent(state, event, event.recordedMs);
  return project(known, state);
}

function unique(list: readonly Withheld[]): Withheld[] {
  const known = new Map(list.map((one) => [`${one.what}\n${one.reason}`, one]));
  return [...known.values()];
}

function common({ place, name }: KnownDevice): Attribute[] {
  const attributes: Attribute[] = [];
  if (name !== undefined) attributes.push({ name: "name", kind: "property", value: name });
  if (place !== undefined) {
    const value = { type: "Point", coordinates: [place.lon, place.lat] };
    attributes.push({ name: "location", kind: "geo", value });
    const { address } = place;
    if (address !== undefined)
      attributes.push({ name: "address", kind: "property", value: { streetAddress: address } });
  }
  return attributes;
}

function deviceRef({ gateway, id }: KnownDevice, as: "one" | "list" = "one"): Attribute {
  const ref = entityId("Device", gateway, id);
  return { name: "refDevice", kind: "relationship", value: as === "one" ? ref : [ref] };
}

const doubtOf = (reason: unknown): string =>
  typeof reason === "string" ? reason.slice(0, 200) : "uncertain";

/** `values` of a record in the shape of points; tokens of personal data are none. */
function fieldsOf({ values, timeMs, epoch, seq, unsynced }: RecordState): Record<string, PointState> {
  const fields: Record<string, PointState> = {};
  for (const [name, shown] of Object.entries(values)) {
    if (typeof shown !== "object" || shown === null || !("value" in shown)) continue;
    const { value, unit, quality } = shown as {
      value: unknown;
      unit?: unknown;
      quality?: { status?: unknown; reason?: unknown } | null;
    };
    if (!["number", "string", "boolean"].includes(typeof value) || quality?.status === "bad") continue;
    fields[name] = {
      value: value as PointState["value"],
      unit: typeof unit === "string" ? unit : "1",
      timeMs,
      epoch,
      seq,
      ...(unsynced === true ? { unsynced } : {}),
      ...(quality === undefined || quality === null ? {} : { doubt: doubtOf(quality.reason) }),
    };
  }
  return fields;
}

function modelled(
  model: Model,
  known: KnownDevice,
  state: DeviceState,
  points: Values,
  part: string,
): Entity | Withheld {
  const id = entityId(model.type, known.gateway, known.id, part);
  let values = points;
  if (model.records !== undefined) {
    const record = model.records.map((name) => state.records[name]).find((one) => one !== undefined);
    if (record === undefined) return { what: id, reason: "nothing has been told yet" };
    values = new Values(fieldsOf(record));
  }
  if (model.needsPlace === true && known.place === undefined) {
    return {
      what: id,
      reason: "the model needs a location: write one at the device or the gateway of the site file",
    };
  }
  const used = new Set(values.used);
  const attributes = model.sources.flatMap((source) => values.attribute(source, part) ?? []);
  attributes.push(...(model.gathered ?? []).flatMap((one) => gather(one, values) ?? []));
  if (model.derive !== undefined) {
    attributes.push(...derivations[model.derive]({ known, state, values, part, attributes }));
  }
  const missing = (model.needs ?? []).find((name) => !attributes.some((one) => one.name === name));
  const times = attributes.flatMap(({ timeMs }) => timeMs ?? []);
  const timeMs =
    times.length > 0 ? Math.max(...times) : model.sources.length === 0 ? state.seenMs : undefined;
  let reason: string | undefined;
  if (missing !== undefined) reason = `the model needs ${missing}, and no good value gives it`;
  else if (times.length === 0 && model.sources.length > 0) reason = "there is no good value";
  if (reason !== undefined) {
    // The points of an entity that is not given are still there to be measured.
    for (const name of values.used) if (!used.has(name)) values.used.delete(name);
    return { what: id, reason };
  }
  for (const [name, value] of Object.entries(model.fixed ?? {}))
    attributes.push({ name, kind: "property", value });
  if (model.type === "Camera")
    attributes.push({ name: "cameraName", kind: "property", value: known.name ?? known.id });
  if (model.refDevice !== undefined) attributes.push(deviceRef(known, model.refDevice));
  return entity(
    known,
    state,
    { type: model.type, id, subject: model.subject, time: model.time },
    attributes,
    timeMs,
  );
}

/** Puts an entity together: its time, its place, and in words what makes its values doubtful. */
function entity(
  known: KnownDevice,
  state: DeviceState,
  about: { type: string; id: string; subject: string | undefined; time: string },
  attributes: readonly Attribute[],
  timeMs: number | undefined,
): Entity {
  const time: Attribute[] = isTime(timeMs)
    ? [{ name: about.time, kind: "property", value: new Date(timeMs).toISOString() }]
    : [];
  const remarks = remarksOf(known, state, attributes, timeMs);
  const description: Attribute[] =
    remarks.length === 0 ? [] : [{ name: "description", kind: "property", value: remarks.join(" ") }];
  return {
    id: about.id,
    type: about.type,
    ...(about.subject === undefined ? {} : { subject: about.subject }),
    attributes: [...time, ...attributes, ...common(known), ...description],
  };
}

const iso = (timeMs: number): string => new Date(timeMs).toISOString();

/** A plain attribute; none where there is no value. */
function property(name: string, value: unknown): Attribute[] {
  return value === undefined || value === "" ? [] : [{ name, kind: "property", value }];
}

/** A value as much older than its entity is named with its time. */
const olderMs = 15 * 60_000;

function remarksOf(
  known: KnownDevice,
  state: DeviceState,
  attributes: readonly Attribute[],
  timeMs = 0,
): string[] {
  const remarks: string[] = [];
  const doubtful = attributes.filter(({ doubt }) => doubt !== undefined);
  if (doubtful.length > 0)
    remarks.push(`Uncertain: ${doubtful.map(({ name, doubt }) => `${name} (${doubt})`).join(", ")}.`);
  const old = attributes.filter(
    (one) => one.timeMs !== undefined && timeMs - one.timeMs > olderMs && isTime(one.timeMs),
  );
  if (old.length > 0)
    remarks.push(`Older: ${old.map((one) => `${one.name} (${iso(one.timeMs ?? 0)})`).join(", ")}.`);
  if (attributes.some(({ unsynced }) => unsynced === true))
    remarks.push("The gateway's clock was not set: the time of observation is not reliable.");
  const now = deviceState(known, state);
  if (now !== "ok" && now !== "starting") {
    const since =
      now === "gateway-offline" || !isTime(state.status?.timeMs) ? "" : ` since ${iso(state.status.timeMs)}`;
    remarks.push(`Not current: the device is ${now}${since}.`);
  }
  return remarks;
}

/** `ok`, `offline`, `gateway-offline` (nothing is known of it now), or the device's own word. */
function deviceState({ gatewayOnline }: KnownDevice, { status }: DeviceState): string {
  if (gatewayOnline === false) return "gateway-offline";
  const state = status?.state ?? "online";
  if (state === "online" || state === "listening") return "ok";
  return state === "lost" ? "offline" : state;
}

function device(known: KnownDevice, state: DeviceState, values: Values): Entity {
  const kind = Object.hasOwn(deviceKinds, known.class) ? deviceKinds[known.class] : undefined;
  const attributes = deviceSources.flatMap((source) => values.attribute(source) ?? []);
  const battery = attributes.some(({ name }) => name === "batteryLevel") ? ["batteryLife"] : [];
  const { seenMs, identity } = state;
  return entity(
    known,
    state,
    {
      type: "Device",
      id: entityId("Device", known.gateway, known.id),
      subject: "Device",
      time: "dateObserved",
    },
    [
      ...property("controlledProperty", [...(kind?.controls ?? []), ...battery]),
      ...property("deviceCategory", kind === undefined ? undefined : [kind.category]),
      ...property("deviceState", deviceState(known, state)),
      ...property("firmwareVersion", identity?.firmware),
      ...property("serialNumber", identity?.serial),
      ...property("dateLastValueReported", isTime(seenMs) ? new Date(seenMs).toISOString() : undefined),
      ...attributes,
    ],
    seenMs,
  );
}

const severities = ["informational", "low", "medium", "high", "critical"];

function subCategoryOf(name: string, { subCategory }: { subCategory?: string }): string | undefined {
  return Object.hasOwn(alertSubCategories, name) ? alertSubCategories[name] : subCategory;
}

/** The newest word of an alarm: an Alert where the model has its category, else kerb's DeviceAlarm. */
function alarm(known: KnownDevice, of: DeviceState, name: string, record: RecordState): Entity | Withheld {
  const { category = "" } = record;
  const alert = Object.hasOwn(alertCategories, category) ? alertCategories[category] : undefined;
  const type = alert === undefined ? "DeviceAlarm" : "Alert";
  const id = entityId(type, known.gateway, known.id, name);
  if (!isTime(record.timeMs)) return { what: id, reason: "its time cannot be true" };
  const source = entityId("Device", known.gateway, known.id);
  const values = Object.entries(fieldsOf(record)).map(([field, { value }]) => [field, value] as const);
  const shown =
    record.personal === true
      ? []
      : values.filter(([, value]) => typeof value !== "number" || Number.isFinite(value));
  const state = record.state ?? "occurred";
  const severity = severities.includes(record.severity ?? "") ? record.severity : undefined;
  const attributes: Attribute[] = [
    { name: "alertSource", kind: "relationship", value: source },
    ...property("category", alert?.category ?? category),
    ...property("subCategory", alert === undefined ? undefined : subCategoryOf(name, alert)),
    ...property("severity", severity),
    ...(alert === undefined ? property("state", state) : []),
    ...(alert === undefined ? property("alarm", name) : []),
    ...(state === "inactive" ? property("validTo", new Date(record.timeMs).toISOString()) : []),
    ...property("data", {
      alarm: name,
      state,
      ...(shown.length === 0 ? {} : { values: Object.fromEntries(shown) }),
    }),
  ];
  const first = attributes[1];
  if (first !== undefined && record.unsynced === true) first.unsynced = true;
  const subject = alert === undefined ? undefined : "Alert";
  return entity(known, of, { type, id, subject, time: "dateIssued" }, attributes, record.timeMs);
}

function measurement(known: KnownDevice, of: DeviceState, name: string, point: PointState): Entity {
  const id = entityId("DeviceMeasurement", known.gateway, known.id, name);
  const isNumber = typeof point.value === "number";
  const attributes: Attribute[] = [
    isNumber
      ? observed("numValue", point.value, point, point.unit)
      : observed("textValue", String(point.value), point),
    { name: "controlledProperty", kind: "property", value: name },
    ...(isNumber ? [{ name: "unit", kind: "property", value: point.unit } as const] : []),
    deviceRef(known),
  ];
  return entity(
    known,
    of,
    { type: "DeviceMeasurement", id, subject: "Device", time: "dateObserved" },
    attributes,
    point.timeMs,
  );
}
