import { Hono, type Context } from "hono";
import { StoreError } from "../database.ts";
import type { Latest, LatestDevice } from "../latest.ts";
import { allContexts, contextOf, ownTerms, sharedContext } from "./context.ts";
import { parseEntityId, type Entity } from "./entity.ts";

import { deviceKinds, modelsByClass } from "./models.ts";
import { project } from "./project.ts";
import { keyValues, normalised } from "./write.ts";

const limitMax = 1000;
const limitUsual = 20;
/** Devices that one request may look through, in steps of so many. */
const devicesMax = 2000;
const step = 100;

type Status = 400 | 404 | 405 | 406 | 422 | 403 | 503;

/** An error of NGSI-LD; `name` is the last part of its type. Source: ETSI GS CIM 009, 6.3.2, RFC 7807. */
class Problem extends Error {
  readonly kind: string;
  readonly status: Status;
  constructor(kind: string, status: Status, detail: string) {
    super(detail);
    this.name = "Problem";
    this.kind = kind;
    this.status = status;
  }
}

const titles: Record<string, string> = {
  BadRequestData: "The request is not right",
  InternalError: "The request cannot be answered now",
  OperationNotSupported: "This view does not do that",
  ResourceNotFound: "There is no such entity",
  TooManyResults: "The request looks through too much",
};

const known = new Set(["type", "id", "gateway", "limit", "offset", "options", "format", "count"]);

/**
 * The read-only part of the NGSI-LD API (ETSI GS CIM 009 v1.6, 5.7.1 and 5.7.2) that the view can answer: the newest
 * values, nothing to write, no history. `gateway` is kerb's own filter.
 */
export function ngsiLdApi(view: () => Latest): Hono {
  const api = new Hono();
  api.get("/jsonldContexts/kerb", (context) => contextAnswer(context, ownTerms()));
  api.get("/jsonldContexts/all", (context) =>
    contextAnswer(context, allContexts(new URL(context.req.url).origin)),
  );
  api.get("/entities", (context) => {
    const { type, id, gateway } = query(context);
    const count = context.req.query("count") === "true";
    const limit = whole(context, "limit", count ? 0 : 1, limitMax, limitUsual);
    const offset = whole(context, "offset", 0, Number.MAX_SAFE_INTEGER, 0);
    const page = { from: offset, to: offset + limit, count };
    const latest = view();
    const found =
      id === undefined ? matching(latest, type, gateway, page) : named(latest, id, { type, gateway }, page);
    const headers: Record<string, string> = count ? { "NGSILD-Results-Count": `${found.total}` } : {};
    return answer(context, found.entities, headers);
  });
  api.get("/entities/:id", (context) => {
    query(context);
    return answer(context, entityOf(view(), context.req.param("id")), {});
  });
  api.all("/*", (context) => {
    const isRead = context.req.method === "GET";
    const detail = `${context.req.method} ${context.req.path} is not part of it: it gives entities to read, at /ngsi-ld/v1/entities.`;
    throw new Problem("OperationNotSupported", isRead ? 404 : 405, detail);
  });
  api.onError((error, context) => {
    const problem =
      error instanceof Problem
        ? error
        : new Problem(
            "InternalError",
            503,
            error instanceof StoreError ? `${error.message}.` : error.message,
          );
    const { kind, status, message } = problem;
    const type = `https://uri.etsi.org/ngsi-ld/errors/${kind}`;
    const body = JSON.stringify({ type, title: titles[kind] ?? kind, status, detail: message });
    return context.body(body, status, { "Content-Type": "application/problem+json" });
  });
  return api;
}

function contextAnswer(context: Context, content: unknown): Response {
  const body = JSON.stringify({ "@context": content });
  return context.body(body, 200, { "Content-Type": "application/ld+json" });
}

/** What is asked for; a parameter that would be ignored is refused, because the answer would be another one. */
function query(context: Context): {
  type: string[] | undefined;
  id: string[] | undefined;
  gateway: string | undefined;
} {
  const unknown = Object.keys(context.req.query()).find((name) => !known.has(name));
  if (unknown !== undefined) {
    const detail = `"${unknown.slice(0, 40)}" is not supported; this view knows ${[...known].join(", ")}.`;
    throw new Problem("OperationNotSupported", 422, detail);
  }
  const list = (name: string) =>
    context.req
      .query(name)
      ?.split(",")
      .filter((one) => one !== "");
  return { type: list("type"), id: list("id"), gateway: context.req.query("gateway") };
}

function whole(context: Context, name: string, least: number, most: number, absent: number): number {
  const text = context.req.query(name);
  if (text === undefined) return absent;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  const detail = `"${name}" must be a whole number from ${least} to ${most}, not "${text.slice(0, 40)}".`;
  throw new Problem("BadRequestData", 400, detail);
}

function entitiesOf({ known: device, state }: LatestDevice): Entity[] {
  return project(device, state).entities;
}

function entityOf(latest: Latest, id: string): Entity {
  const parsed = parseEntityId(id);
  if (parsed === undefined) {
    const detail = `"${id.slice(0, 100)}" is not an id of this view; they are urn:ngsi-ld:<type>:<gateway>:<device>.`;
    throw new Problem("BadRequestData", 400, detail);
  }
  const device = latest.device(parsed.gateway, parsed.device);
  if (device === undefined)
    throw new Problem(
      "ResourceNotFound",
      404,
      `Nothing has been heard of ${parsed.device} at ${parsed.gateway}.`,
    );
  const { entities, withheld } = project(device.known, device.state);
  const found = entities.find((entity) => entity.id === id);
  if (found !== undefined) return found;
  const reason = withheld.find(({ what }) => what === id)?.reason ?? "the device has no such entity";
  throw new Problem("ResourceNotFound", 404, `There is no ${id}: ${reason}.`);
}

interface Page {
  from: number;
  to: number;
  count: boolean;
}

function named(
  latest: Latest,
  ids: readonly string[],
  { type: types, gateway }: { type: readonly string[] | undefined; gateway: string | undefined },
  { from, to }: Page,
) {
  if (ids.length > limitMax)
    throw new Problem("BadRequestData", 400, `at most ${limitMax} ids in one request`);
  const found = [...new Set(ids)].flatMap((id) => {
    try {
      const entity = entityOf(latest, id);
      if (gateway !== undefined && parseEntityId(id)?.gateway !== gateway) return [];
      return types === undefined || types.includes(entity.type) ? [entity] : [];
    } catch (error) {
      if (error instanceof Problem) return [];
      throw error;
    }
  });
  return { entities: found.slice(from, to), total: found.length };
}

/** Entities of all devices in order, those of the page; the total is counted only when it is asked for. */
function matching(
  latest: Latest,
  types: readonly string[] | undefined,
  gateway: string | undefined,
  page: Page,
) {
  const classes = classesOf(types);
  const only = {
    ...(classes === undefined ? {} : { classes }),
    ...(gateway === undefined ? {} : { gateway }),
  };
  const entities: Entity[] = [];
  let total = 0;
  let after = { gateway: "", device: "" };
  if (classes?.length === 0) return { entities, total };
  for (let looked = 0; ; looked += step) {
    const devices = latest.devices(after, only, step);
    for (const device of devices) {
      for (const entity of entitiesOf(device)) {
        if (types !== undefined && !types.includes(entity.type)) continue;
        if (total >= page.from && total < page.to) entities.push(entity);
        total++;
      }
    }
    const last = devices.at(-1)?.known;
    if (last === undefined || devices.length < step || (!page.count && total >= page.to)) break;
    if (looked + step >= devicesMax) {
      const detail = `More than ${devicesMax} devices would have to be looked through: ask for one type, or for one gateway after the other (gateway=…, their ids are at /gateways).`;
      throw new Problem("TooManyResults", 403, detail);
    }
    after = { gateway: last.gateway, device: last.id };
  }
  return { entities, total };
}

/** The classes of devices that may have entities of these types; undefined: any. */
function classesOf(types: readonly string[] | undefined): string[] | undefined {
  if (types === undefined) return undefined;
  const everywhere = ["Device", "DeviceMeasurement", "DeviceAlarm", "Alert"];
  if (types.some((type) => everywhere.includes(type))) return undefined;
  return Object.keys(deviceKinds).filter((one) =>
    (modelsByClass[one] ?? []).some(({ type }) => types.includes(type)),
  );
}

/** In the representation and with the context that the request wants: in the body (JSON-LD) or in a header (JSON). */
function answer(context: Context, found: Entity | Entity[], headers: Record<string, string>): Response {
  const wants = context.req.header("accept") ?? "*/*";
  const isLd = wants.includes("application/ld+json");
  if (!isLd && !/\*\/\*|application\/(json|\*)/.test(wants))
    throw new Problem(
      "BadRequestData",
      406,
      "This view answers in application/json and application/ld+json.",
    );
  const options = `${context.req.query("options") ?? ""},${context.req.query("format") ?? ""}`.split(",");
  const write = options.some((one) => one === "keyValues" || one === "simplified") ? keyValues : normalised;
  const base = new URL(context.req.url).origin;
  const body = (entity: Entity) => ({
    ...write(entity),
    ...(isLd ? { "@context": contextOf(entity, base) } : {}),
  });
  const text = JSON.stringify(Array.isArray(found) ? found.map(body) : body(found));
  const link = `<${sharedContext(base)}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"`;
  const type = isLd
    ? { "Content-Type": "application/ld+json" }
    : { "Content-Type": "application/json", Link: link };
  return context.body(text, 200, { ...type, ...headers });
}
