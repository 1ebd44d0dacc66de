import { Hono, type Context } from "hono";
import type { Latest, LatestDevice } from "../latest.ts";
import { allContexts, contextOf, ownTerms, sharedContext } from "./context.ts";
import { parseEntityId, type Entity } from "./entity.ts";

import { deviceKinds, modelsByClass } from "./models.ts";
import { Problem, problemOf } from "./problem.ts";
import { project } from "./project.ts";
import { limitMax, queryOf, type Query } from "./query.ts";
import { keyValues, normalised } from "./write.ts";

/** Devices that one request may look through, in steps of so many. */
const devicesMax = 2000;
const step = 100;

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
    const query = queryOf(context, "many");
    const latest = view();
    const { entities, total } =
      query.id === undefined ? matching(latest, query) : named(latest, query.id, query);
    return answer(context, entities, query, query.count ? { "NGSILD-Results-Count": `${total}` } : {});
  });
  api.get("/entities/:id", (context) => {
    const query = queryOf(context, "one");
    const entity = entityOf(view(), context.req.param("id"));
    if (query.type?.includes(entity.type) ?? true) return answer(context, entity, query, {});
    throw new Problem("ResourceNotFound", 404, `${entity.id} is of the type "${entity.type}".`);
  });
  api.all("/*", (context) => {
    const isRead = context.req.method === "GET";
    const detail = `${context.req.method} ${context.req.path} is not part of it: it gives entities to read, at /ngsi-ld/v1/entities.`;
    throw new Problem("OperationNotSupported", isRead ? 404 : 405, detail);
  });
  api.onError((error, context) => {
    const { status, body } = problemOf(error);
    return context.body(body, status, { "Content-Type": "application/problem+json" });
  });
  return api;
}

function contextAnswer(context: Context, content: unknown): Response {
  const body = JSON.stringify({ "@context": content });
  return context.body(body, 200, { "Content-Type": "application/ld+json" });
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

function named(
  latest: Latest,
  ids: readonly string[],
  { type: types, gateway, offset, limit }: Query,
): { entities: Entity[]; total: number } {
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
  return { entities: found.slice(offset, offset + limit), total: found.length };
}

/** Entities of all devices in order, those of the page; the total is counted only when it is asked for. */
function matching(
  latest: Latest,
  { type: types, gateway, offset, limit, count }: Query,
): { entities: Entity[]; total: number } {
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
        if (total >= offset && total < offset + limit) entities.push(entity);
        total++;
      }
    }
    const last = devices.at(-1)?.known;
    if (last === undefined || devices.length < step || (!count && total >= offset + limit)) break;
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
function answer(
  context: Context,
  found: Entity | Entity[],
  { isSimplified }: Query,
  headers: Record<string, string>,
): Response {
  const wants = context.req.header("accept") ?? "*/*";
  const isLd = wants.includes("application/ld+json");
  if (!isLd && !/\*\/\*|application\/(json|\*)/.test(wants))
    throw new Problem(
      "BadRequestData",
      406,
      "This view answers in application/json and application/ld+json.",
    );
  const write = isSimplified ? keyValues : normalised;
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
