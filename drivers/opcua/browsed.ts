import type { Answer, Browsed } from "../../gateway/driver.ts";
import { AttributeIds, DataType, VariantArrayType, type DataValue, type NodeId } from "./library.ts";
import type { Nodes } from "./nodes.ts";
import { cut, nodeClasses, type Place } from "./place.ts";
import type { Scalar } from "./settings.ts";
import { ucumOf } from "./units.ts";
import { answerOf, bad } from "./values.ts";

/** What the attributes and properties of nodes say, in the words of a profile (OPC 10000-3, 5.6 and 5.7). */

/** A variable or a method, and the properties that say what it means. */
export interface Readable {
  readonly place: Place;
  readonly meaning: Readonly<Record<string, NodeId>>;
}

interface Wanted {
  nodeId: NodeId;
  attributeId: AttributeIds;
  indexRange?: string;
}

interface Type {
  readonly name: string;
  readonly values?: Record<string, string>;
  /** Of a structure whose members an address can name. */
  readonly layout?: Record<string, Scalar>;
}

export interface Asked {
  readonly nodes: Nodes;
  /** Data types that are no built-in ones, by their node ids. */
  readonly types: Map<string, Type>;
  /** One answer for each, in their order. */
  readonly read: (wanted: readonly Wanted[]) => Promise<DataValue[]>;
}

/** The built-in types have the lowest numbers of the standard's namespace. */
const builtInMax = 25;
const valuesMax = 200;
const typesMax = 2000;
const readable = 1;
const writable = 2;
/** Of types that a method may be called with (the setting `type` of an address). */
const arguments_ = new Set(
  "Boolean SByte Byte Int16 UInt16 Int32 UInt32 Int64 UInt64 Float Double String DateTime Guid ByteString LocalizedText".split(
    " ",
  ),
);

/** Entries for variables and methods, in their order. */
export async function describe(shown: readonly Readable[], asked: Asked): Promise<Browsed[]> {
  const facts = await factsOf(shown, asked);
  await learnTypes(facts, asked);
  const variables = shown.flatMap(({ place }, i) =>
    place.nodeClass === nodeClasses.variable ? [{ i, node: place.node, range: firstOf(facts[i]) }] : [],
  );
  const values = await asked.read(
    variables.map(({ node, range }) => ({
      nodeId: node,
      attributeId: AttributeIds.Value,
      ...(range === undefined ? {} : { indexRange: range }),
    })),
  );
  const byIndex = new Map(variables.map(({ i }, k) => [i, values[k]]));
  return shown.flatMap((one, i) => {
    const own = facts[i] ?? {};
    if (one.place.nodeClass === nodeClasses.method) return [commandOf(one, own, asked)];
    const data = byIndex.get(i);
    const entry = valueOf(one, own, data, asked);
    return [entry, ...membersOf(entry, data, asked.types.get(typeIdOf(own)?.toString() ?? ""))];
  });
}

/** One entry for each member of a structure. */
function membersOf(entry: Browsed, data: DataValue | undefined, type: Type | undefined): Browsed[] {
  const { address, path, access } = entry;
  const layout = type?.layout;
  if (layout === undefined || address === undefined || data === undefined) return [];
  const { index } = address as { index?: number };
  return Object.entries(layout).map(([member, scalar]) => ({
    what: "value",
    address: { ...address, layout, member },
    path: [...path, member],
    type: scalar,
    // One member alone cannot be written.
    ...(access === undefined ? {} : { access: access.startsWith("read") ? "read" : "none" }),
    answer: answerOf(data, { layout, member, ...(index === undefined ? {} : { index }) }),
  }));
}

/** Values of attributes and of properties by their names; what the server refuses is missing. */
type Facts = Record<string, unknown>;

const variableAttributes = [
  "DataType",
  "ValueRank",
  "ArrayDimensions",
  "AccessLevel",
  "UserAccessLevel",
  "Description",
] as const;
const methodAttributes = ["UserExecutable", "Description"] as const;

async function factsOf(shown: readonly Readable[], { read }: Asked): Promise<Facts[]> {
  const wanted = shown.flatMap(({ place, meaning }, i) => {
    const isMethod = place.nodeClass === nodeClasses.method;
    const attributes = isMethod ? methodAttributes : variableAttributes;
    return [
      ...attributes.map((name) => ({ i, name, nodeId: place.node, attributeId: AttributeIds[name] })),
      ...Object.entries(meaning).map(([name, nodeId]) => ({
        i,
        name,
        nodeId,
        attributeId: AttributeIds.Value,
      })),
    ];
  });
  const answers = await read(wanted.map(({ nodeId, attributeId }) => ({ nodeId, attributeId })));
  const facts: Facts[] = shown.map(() => ({}));
  wanted.forEach(({ i, name }, k) => {
    const data = answers[k];
    const own = facts[i];
    if (own === undefined || data === undefined || data.statusCode.value >>> 31 === 1) return;
    if (data.value?.value !== null && data.value?.value !== undefined) own[name] = data.value.value;
  });
  return facts;
}

function typeIdOf(facts: Facts | undefined): NodeId | undefined {
  return facts?.["DataType"] as NodeId | undefined;
}

function isBuiltIn(id: NodeId): boolean {
  return id.namespace === 0 && typeof id.value === "number" && id.value <= builtInMax;
}

async function learnTypes(facts: readonly Facts[], { types, read }: Asked): Promise<void> {
  const unknown = new Map<string, NodeId>();
  for (const one of facts) {
    const id = typeIdOf(one);
    if (id !== undefined && !isBuiltIn(id) && !types.has(id.toString())) unknown.set(id.toString(), id);
  }
  if (types.size + unknown.size > typesMax) return;
  const ids = [...unknown];
  const answers = await read(
    ids.flatMap(([, nodeId]) => [
      { nodeId, attributeId: AttributeIds.BrowseName },
      { nodeId, attributeId: AttributeIds.DataTypeDefinition },
    ]),
  );
  ids.forEach(([text], i) => {
    const name = answers[2 * i]?.value?.value as { name?: string | null } | null | undefined;
    const definition = (answers[2 * i + 1]?.value?.value ?? {}) as Definition;
    const values = enumerated(definition.fields);
    const layout = layoutOf(definition);
    types.set(text, {
      name: cut(name?.name ?? text),
      ...(values === undefined ? {} : { values }),
      ...(layout === undefined ? {} : { layout }),
    });
  });
}

/** EnumDefinition and StructureDefinition (OPC 10000-3, 8.50 and 8.49), as far as they matter. */
interface Definition {
  structureType?: number;
  fields?: { name?: string | null; dataType?: NodeId; valueRank?: number; isOptional?: boolean }[] | null;
}

const membersMax = 100;
/** Types of members whose bytes an address can count (`values.ts`). */
const members = new Set(
  "Boolean SByte Byte Int16 UInt16 Int32 UInt32 Int64 UInt64 Float Double DateTime String ByteString".split(
    " ",
  ),
);

/** Members and types of a plain structure; undefined where it has optional, nested or repeated ones. */
function layoutOf({ structureType, fields }: Definition): Record<string, Scalar> | undefined {
  if (structureType !== 0 || !Array.isArray(fields) || fields.length > membersMax) return undefined;
  const layout: Record<string, Scalar> = {};
  for (const { name, dataType, valueRank = -1, isOptional = false } of fields) {
    const type = dataType !== undefined && isBuiltIn(dataType) ? DataType[Number(dataType.value)] : undefined;
    // A name that looks like a number would not keep its place.
    const isPlain = typeof name === "string" && !/^\d*$/.test(name) && !Object.hasOwn(layout, name);
    if (!isPlain || isOptional || valueRank !== -1 || !members.has(type ?? "")) return undefined;
    layout[name] = type as Scalar;
  }
  return fields.length === 0 ? undefined : layout;
}

/** The first element is enough of an array, however long it is. */
function firstOf(facts: Facts | undefined): string | undefined {
  const rank = Number(facts?.["ValueRank"] ?? -1);
  return rank >= 1 && rank <= 10 ? Array.from({ length: rank }, () => "0").join(",") : undefined;
}

function valueOf(
  { place }: Readable,
  facts: Facts,
  data: DataValue | undefined,
  { nodes, types }: Asked,
): Browsed {
  const variant = data?.value;
  const isArray =
    firstOf(facts) !== undefined ||
    (variant !== null && variant !== undefined && variant.arrayType !== VariantArrayType.Scalar);
  const node = nodes.textOf(place.node);
  const address = { node, ...(isArray ? { index: 0 } : {}) };
  const type = types.get(typeIdOf(facts)?.toString() ?? "");
  const named = { ...type?.values, ...enumerated(facts["EnumValues"] ?? facts["EnumStrings"]) };
  const states = statesOf(facts);
  const values = states ?? (Object.keys(named).length === 0 ? undefined : named);
  const unit = unitOf(facts["EngineeringUnits"]);
  const range = rangeOf(facts["EURange"]);
  const more: Record<string, string> = {};
  if (type !== undefined) more["dataType"] = type.name;
  if (node === undefined) more["why"] = "an address cannot write this node id";
  const answer: Answer = data === undefined ? bad("no-answer") : answerOf(data, isArray ? { index: 0 } : {});
  const access = accessOf(facts);
  return {
    what: "value",
    ...(node === undefined ? {} : { address }),
    ...inWords(place, isArray),
    ...names(place, facts),
    type: typeOf(facts, variant?.dataType, isArray, type),
    ...(access === undefined ? {} : { access }),
    ...(unit === undefined ? {} : { unit }),
    ...(range === undefined ? {} : { range }),
    ...(values === undefined ? {} : { values }),
    answer,
    ...(Object.keys(more).length === 0 ? {} : { more }),
  };
}

/** The same variable by its path, which holds for all devices of a model. */
function inWords({ words, path }: Place, isArray: boolean): Pick<Browsed, "also"> {
  if (words === undefined || words.path === "" || path.length === 0) return {};
  const settings =
    Object.keys(words.namespaces).length === 0 ? {} : { settings: { namespaces: words.namespaces } };
  return { also: [{ address: { path: words.path, ...(isArray ? { index: 0 } : {}) }, ...settings }] };
}

function names({ path, label }: Place, facts: Facts): Pick<Browsed, "path" | "label" | "description"> {
  const description = textOf(facts["Description"]);
  return {
    path,
    ...(label === "" || label === path.at(-1) ? {} : { label }),
    ...(description === "" ? {} : { description }),
  };
}

function commandOf({ place }: Readable, facts: Facts, { nodes }: Asked): Browsed {
  const inputs = Array.isArray(facts["InputArguments"]) ? (facts["InputArguments"] as Argument[]) : [];
  const object = place.parent === undefined ? undefined : nodes.textOf(place.parent);
  const method = place.method;
  const [first] = inputs;
  const type = first === undefined ? undefined : argumentType(first);
  const isPlain = inputs.length === 0 || (inputs.length === 1 && arguments_.has(type ?? ""));
  const why =
    object === undefined || method === undefined
      ? "an address cannot write the names of this method"
      : isPlain
        ? undefined
        : "kerb calls methods with no argument or one plain one";
  const canCall = facts["UserExecutable"];
  const more: Record<string, string> = {};
  if (inputs.length > 0)
    more["arguments"] = cut(inputs.map((one) => `${one.name ?? "?"}: ${argumentType(one)}`).join(", "));
  const own = nodes.textOf(place.node);
  if (why !== undefined) more["why"] = why;
  if (why !== undefined && own !== undefined) more["node"] = own;
  const needed = method === undefined || Object.keys(method.namespaces).length === 0 ? undefined : method;
  return {
    what: "command",
    ...(why === undefined
      ? { address: { node: object, method: method?.text, ...(type === undefined ? {} : { type }) } }
      : {}),
    ...(why === undefined && needed !== undefined ? { settings: { namespaces: needed.namespaces } } : {}),
    ...names(place, facts),
    ...(type === undefined || inputs.length !== 1 ? {} : { type }),
    ...(typeof canCall === "boolean" ? { access: canCall ? "write" : "none" } : {}),
    ...(Object.keys(more).length === 0 ? {} : { more }),
  };
}

/** Argument (OPC 10000-3, 8.6). */
interface Argument {
  name?: string | null;
  dataType?: NodeId;
  valueRank?: number;
}

function argumentType({ dataType, valueRank = -1 }: Argument): string {
  if (dataType === undefined) return "?";
  const name = isBuiltIn(dataType) ? (DataType[Number(dataType.value)] ?? "?") : dataType.toString();
  return valueRank >= 0 ? `${name}[]` : name;
}

/** "Double", "Int32[4]"; of a type that is none of the built-in ones, what its values are sent as. */
function typeOf(facts: Facts, sent: DataType | undefined, isArray: boolean, type: Type | undefined): string {
  const id = typeIdOf(facts);
  const declared = id !== undefined && isBuiltIn(id) ? DataType[Number(id.value)] : undefined;
  const isSent = sent !== undefined && sent !== DataType.Null;
  // 24: BaseDataType, which is any; 0: not declared.
  const isOpen = declared === undefined || Number(id?.value) === 24 || Number(id?.value) === 0;
  const name = isOpen ? (isSent ? DataType[sent] : (type?.name ?? declared ?? "?")) : declared;
  const sizes = facts["ArrayDimensions"] as ArrayLike<number> | undefined;
  const known = sizes === undefined ? [] : Array.from(sizes, Number).filter((size) => size > 0);
  const rank = Number(facts["ValueRank"] ?? 1);
  return isArray ? `${name}[${known.length === rank ? known.join(",") : ""}]` : name;
}

function accessOf(facts: Facts): Browsed["access"] {
  const own = facts["UserAccessLevel"] ?? facts["AccessLevel"];
  if (typeof own !== "number") return undefined;
  // Some servers say of the user what they do not say of the variable.
  const level = typeof facts["AccessLevel"] === "number" ? own & facts["AccessLevel"] : own;
  const canRead = (level & readable) !== 0;
  const canWrite = (level & writable) !== 0;
  if (canRead) return canWrite ? "read-write" : "read";
  return canWrite ? "write" : "none";
}

function unitOf(told: unknown): Browsed["unit"] {
  const { namespaceUri, unitId, displayName, description } = (told ?? {}) as Record<string, unknown>;
  const text = textOf(displayName) || textOf(description);
  const ucum = ucumOf(namespaceUri, unitId);
  if (text === "" && ucum === undefined) return undefined;
  return { text: text === "" ? (ucum ?? "") : text, ...(ucum === undefined ? {} : { ucum }) };
}

function rangeOf(told: unknown): Browsed["range"] {
  const { low, high } = (told ?? {}) as Record<string, unknown>;
  const isRange =
    typeof low === "number" &&
    typeof high === "number" &&
    Number.isFinite(low) &&
    Number.isFinite(high) &&
    low < high;
  return isRange ? [low, high] : undefined;
}

/** EnumStrings, EnumValues, or the fields of an enumeration's definition; undefined where it is none of these. */
function enumerated(told: unknown): Record<string, string> | undefined {
  if (!Array.isArray(told)) return undefined;
  const values: Record<string, string> = {};
  for (const [i, one] of (told as unknown[]).slice(0, valuesMax).entries()) {
    const { value, displayName, name, text } = (one ?? {}) as Record<string, unknown>;
    // LocalizedText: its place is its number.
    if (typeof text === "string") values[i] = cut(text);
    // Int64: two halves.
    else if (Array.isArray(value) && value.length === 2) {
      const number = BigInt.asIntN(64, (BigInt(Number(value[0])) << 32n) | BigInt(Number(value[1]) >>> 0));
      values[String(number)] = textOf(displayName) || (typeof name === "string" ? cut(name) : "");
    }
  }
  return Object.keys(values).length === 0 ? undefined : values;
}

function statesOf({ TrueState: yes, FalseState: no }: Facts): Record<string, string> | undefined {
  const states = { false: textOf(no), true: textOf(yes) };
  return states.false === "" && states.true === "" ? undefined : states;
}

function textOf(told: unknown): string {
  const { text } = (told ?? {}) as Record<string, unknown>;
  return typeof text === "string" ? cut(text.trim()) : "";
}
