import type { Described } from "./model.ts";
import { tag } from "./xml.ts";

/** The answer to GetEventProperties (ONVIF Core, 9.1.5): a tree of topics, each with what its messages carry. */

interface Topic {
  readonly below: Map<string, Topic>;
  described: Described | undefined;
}

const types: Record<string, string> = {
  boolean: "xs:boolean",
  number: "xs:float",
  time: "xs:dateTime",
  text: "xs:string",
};

function descriptionOf({ lasts, items }: Described): string {
  const parts = (["Source", "Key", "Data"] as const).map((part) => {
    const own = items.filter((item) => item.part === part);
    const inner = own.map(({ name, type }) =>
      tag("tt:SimpleItemDescription", "", { Name: name, Type: types[type] ?? "xs:string" }),
    );
    return own.length === 0 ? "" : tag(`tt:${part}`, inner.join(""));
  });
  return tag("tt:MessageDescription", parts.join(""), { IsProperty: String(lasts) });
}

function xmlOf(name: string, { below, described }: Topic): string {
  const own = described === undefined ? "" : descriptionOf(described);
  const inner = [...below].map(([part, topic]) => xmlOf(part, topic)).join("");
  return tag(name, own + inner, described === undefined ? {} : { "wstop:topic": "true" });
}

/** All topics as one `TopicSet`; the first part of each has the prefix of ONVIF's own topics. */
export function eventProperties(described: readonly Described[]): string {
  const root: Topic = { below: new Map(), described: undefined };
  for (const one of described) {
    let here = root;
    one.topic.split("/").forEach((part, i) => {
      const name = i === 0 && !part.includes(":") ? `tns1:${part}` : part;
      const next = here.below.get(name) ?? { below: new Map(), described: undefined };
      here.below.set(name, next);
      here = next;
    });
    here.described = one;
  }
  const set = [...root.below].map(([part, topic]) => xmlOf(part, topic)).join("");
  return tag("tev:GetEventPropertiesResponse", tag("wstop:TopicSet", set));
}
