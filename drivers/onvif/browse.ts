import { XMLParser } from "fast-xml-parser";
import type { Browsed, LeftOut } from "../../gateway/driver.ts";
import type { Camera } from "./camera.ts";
import { plainTopic, topicPrefixes } from "./events.ts";
import type { Readings } from "./readings.ts";
import type { Address } from "./settings.ts";
import { all, at, isTree, SoapFault, textAt, type Tree } from "./soap.ts";

/** What a camera has: the readings that it can be asked for, and the topics of the events that it tells. */

const namespace = "http://www.onvif.org/ver10/events/wsdl";
const action = `${namespace}/EventPortType/GetEventPropertiesRequest`;
const depthMax = 12;
const topicsMax = 500;
const itemsMax = 50;

interface Asked {
  name: string;
  type: string;
  address: Omit<Address, "type">;
}

const asked: readonly Asked[] = [
  { name: "Answers SOAP", type: "boolean", address: { reading: "reachability" } },
  { name: "Clock ahead by", type: "seconds", address: { reading: "clock-skew" } },
  { name: "Frame rate", type: "number", address: { reading: "video", item: "framerate" } },
  { name: "Frame width", type: "number", address: { reading: "video", item: "width" } },
  { name: "Frame height", type: "number", address: { reading: "video", item: "height" } },
  { name: "Recording job", type: "text", address: { reading: "recording" } },
  { name: "Video stream by RTSP", type: "boolean", address: { reading: "rtsp" } },
];
const units: Readonly<Record<string, Browsed["unit"]>> = {
  "clock-skew": { text: "s", ucum: "s" },
  framerate: { text: "Hz", ucum: "Hz" },
};

/** What the camera answers when it is asked; what it refuses is there with the reason. */
export async function valuesOf(readings: Readings, signal: AbortSignal): Promise<Browsed[]> {
  const points = asked.map(({ name, address }) => ({ name, address: { ...address, type: "text" as const } }));
  const { answers } = await readings.read(points, signal);
  return asked.map(({ name, type, address }, i) => {
    const unit = units[address.item ?? address.reading ?? ""];
    const answer = answers[i];
    return {
      what: "value",
      address,
      path: [name],
      type,
      access: "read",
      ...(unit === undefined ? {} : { unit }),
      ...(answer === undefined ? {} : { answer }),
    };
  });
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  parseTagValue: false,
  parseAttributeValue: false,
  processEntities: false,
  ignoreDeclaration: true,
  ignorePiTags: true,
  maxNestedTags: 40,
});

/** What the driver's own bounds leave out. */
interface Cut {
  entries: number;
  branches: number;
}

const localName = (name: string): string => name.slice(name.indexOf(":") + 1);

/** The first child of this local name, whatever its prefix. */
function childOf(tree: unknown, name: string): unknown {
  if (!isTree(tree)) return undefined;
  const key = Object.keys(tree).find((one) => !one.startsWith("@") && localName(one) === name);
  return key === undefined ? undefined : at(tree, key);
}

/** A type of XML Schema as an address has it. */
function typeOf(told: string | undefined): Address["type"] {
  const name = localName(told ?? "");
  if (name === "boolean") return "boolean";
  if (/^(unsigned|positive|nonNegative)?(int|integer|long|short|byte|float|double|decimal)$/i.test(name))
    return "number";
  return name === "dateTime" ? "time" : "text";
}

function fieldsOf(description: unknown, cut: Cut): Browsed[] {
  return (["Source", "Key", "Data"] as const).flatMap((part) => {
    const holder = childOf(description, part);
    if (!isTree(holder)) return [];
    const items = Object.keys(holder)
      .filter((key) => localName(key) === "SimpleItemDescription")
      .flatMap((key) => all(holder, key));
    cut.branches += Math.max(0, items.length - itemsMax);
    return items.slice(0, itemsMax).flatMap((item): Browsed[] => {
      const name = textAt(item, "@Name");
      if (name === undefined || name === "") return [];
      const type = typeOf(textAt(item, "@Type"));
      const place = part === "Source" ? "source" : part === "Key" ? "key" : "data";
      return [
        {
          what: "value",
          path: [name],
          type: type === "time" ? "text" : type,
          address: { item: name, part: place, ...(type === "text" ? {} : { type }) },
          ...(place === "data" ? {} : { more: { instance: place } }),
        },
      ];
    });
  });
}

/** The topics below an element, which is named as its own prefix has it. */
function* below(
  tree: Tree,
  path: readonly string[],
  cut: Cut,
): Generator<{ topic: string; description: unknown }> {
  const description = childOf(tree, "MessageDescription");
  const isTopic = Object.entries(tree).some(
    ([key, value]) => key.startsWith("@") && localName(key.slice(1)) === "topic" && value === "true",
  );
  if (path.length > 0 && (isTopic || description !== undefined)) yield { topic: path.join("/"), description };
  for (const name of Object.keys(tree)) {
    if (name.startsWith("@") || name === "#text" || localName(name) === "MessageDescription") continue;
    if (path.length >= depthMax) cut.branches++;
    else for (const one of all(tree, name)) yield* below(isTree(one) ? one : {}, [...path, name], cut);
  }
}

/** `camera.post` has taken it for SOAP already. */
function parsed(xml: string): unknown {
  try {
    return parser.parse(xml);
  } catch {
    return undefined;
  }
}

/** One record for each topic of an answer to GetEventProperties; `xml` with its prefixes, which makers' topics have. */
export function topicsIn(xml: string): (Browsed | LeftOut)[] {
  const prefixes = topicPrefixes(xml);
  const envelope = childOf(parsed(xml), "Envelope");
  const set = childOf(childOf(childOf(envelope, "Body"), "GetEventPropertiesResponse"), "TopicSet");
  if (!isTree(set)) return [];
  const records = new Map<string, Browsed>();
  const cut: Cut = { entries: 0, branches: 0 };
  for (const { topic: named, description } of below(set, [], cut)) {
    const topic = plainTopic(named, prefixes);
    if (records.has(topic)) continue;
    if (records.size >= topicsMax) {
      cut.entries++;
      continue;
    }
    const lasts = textAt(description, "@IsProperty") === "true";
    records.set(topic, {
      what: "record",
      path: topic.split("/").map((part) => part.slice(0, 100)),
      address: { topic },
      type: lasts ? "property" : "event",
      fields: fieldsOf(description, cut),
      ...(lasts ? { more: { lasts: "property" } } : {}),
    });
  }
  const isCut = cut.entries + cut.branches > 0;
  return [...records.values(), ...(isCut ? [{ left: "bound" as const, ...cut }] : [])];
}

/** The topics that the camera says it may tell, or why it does not say. */
export async function topicsOf(camera: Camera, signal: AbortSignal): Promise<(Browsed | LeftOut)[]> {
  try {
    const service = await camera.service("events", signal);
    if (service === undefined) throw new SoapFault("ServiceNotSupported", "the camera has no events service");
    const body = `<GetEventProperties xmlns="${namespace}"/>`;
    const { xml } = await camera.post(service, action, body, { signal });
    return topicsIn(xml);
  } catch (error) {
    if (!(error instanceof SoapFault)) throw error;
    return [{ left: "refused", place: "GetEventProperties", reason: error.message.slice(0, 200) }];
  }
}
