import type { IAddressSpace, INamespace, UAObject, UAVariable } from "node-opcua";
import {
  anyNumber,
  checkRoom,
  seededRandom,
  type Room,
  type SimulatedPoint,
  type SimulatorOptions,
} from "../simulator.ts";
import type { Library } from "./library.ts";

/** A device's address as `drivers/opcua/settings.ts` parses it, as far as a pretend device needs it. */
export interface Address {
  node?: string;
  path?: string;
  field?: string;
  type?: string;
  layout?: Record<string, string>;
  member?: string;
  event?: string;
  method?: string;
}

/** The device's settings that give names a meaning. */
export interface Naming {
  root?: string;
  namespaces?: Record<string, string>;
  names?: Record<string, string>;
}

type RecordOptions = NonNullable<SimulatorOptions["records"]>[number];
type Told = Record<string, number | string | boolean>;
/** A node of the address space; several points share one that holds a structure. */
type Place = UAObject | UAVariable;

interface Slot {
  point: SimulatedPoint;
  address: Address;
  variable: UAVariable;
  pinned: number | string | undefined;
  /** What it shows, raw. */
  raw: number | string | boolean;
}

interface Shown {
  dataType: number;
  arrayType?: number;
  value: unknown;
}

const walkMs = 1000;
const clockErrorMs = 7 * 3_600_000;
const standardEvents = "i=2041";

/** The nodes of a pretend device: one variable for each address, wandering or pinned, and its events. */
export class Space {
  readonly #library: Library;
  readonly #space: IAddressSpace;
  readonly #naming: Naming;
  readonly #random: () => number;
  readonly #slots = new Map<string, Slot>();
  readonly #records = new Map<string, { record: RecordOptions; slots: Map<string, Slot>; trigger?: Slot }>();
  readonly #places = new Map<string, Place>();
  /** Those of points; a record's stay until it is told again. */
  readonly #wandering: readonly Slot[];
  readonly #walk: NodeJS.Timeout;
  #clockOffMs = 0;
  /** What changes now is not written by a client. */
  #isShowing = false;
  /** A command with this value is refused. */
  refusedValue: unknown = -1;
  #count = 0;

  constructor(library: Library, space: IAddressSpace, naming: Naming, options: SimulatorOptions) {
    this.#library = library;
    this.#space = space;
    this.#naming = naming;
    this.#random = seededRandom(options.seed ?? 1);
    const paths = new Map<string, Address>();
    for (const point of [...options.points, ...(options.records ?? []).flatMap(({ fields }) => fields)]) {
      const address = point.address as Address;
      if (address.path !== undefined) paths.set(address.path, address);
    }
    this.#wandering = options.points.map((point) => this.#add(point, paths));
    for (const record of options.records ?? []) this.#addRecord(record, paths);
    this.#walk = setInterval(() => this.#wander(), walkMs);
    this.#walk.unref();
  }

  #add(point: SimulatedPoint, paths: ReadonlyMap<string, Address>, key = point.name): Slot {
    const address = point.address as Address;
    const variable = address.method === undefined ? this.#variable(address, paths) : this.#command(point);
    const raw = point.fixed ?? this.#first(point);
    const slot: Slot = { point, address, variable, pinned: undefined, raw };
    this.#slots.set(key, slot);
    this.#show(slot);
    return slot;
  }

  #addRecord(record: RecordOptions, paths: ReadonlyMap<string, Address>): void {
    const address = record.address as Address;
    const slots = new Map<string, Slot>();
    if (address.event !== undefined) {
      this.#records.set(record.name, { record, slots });
      return;
    }
    for (const field of record.fields) {
      // A field that is a point as well is the same value.
      const known = [...this.#slots.values()].find(
        (slot) => JSON.stringify(slot.address) === JSON.stringify(field.address),
      );
      slots.set(field.name, known ?? this.#add(field, paths, `${record.name}.${field.name}`));
    }
    const trigger = [...this.#slots.values()].find(
      (slot) => slot.address.path === address.path && slot.address.node === address.node,
    );
    const point = { name: record.name, address, scale: 1, offset: 0, fixed: 0 };
    this.#records.set(record.name, {
      record,
      slots,
      trigger: trigger ?? this.#add(point, paths, `${record.name}.trigger`),
    });
  }

  /** An object with one method; what it was called with can be read beside it, under the method's name. */
  #command({ address }: SimulatedPoint): UAVariable {
    const { DataType, StatusCodes } = this.#library;
    const { node = "", method = "", type } = address as Address;
    const nodeId = this.#nodeId(node);
    const namespace = this.#space.getNamespace(Number(/^ns=(\d+)/.exec(nodeId)?.[1] ?? 1));
    const object = namespace.addObject({ browseName: node, nodeId, organizedBy: this.#objects() });
    const shown = this.#make(
      `method ${node}`,
      namespace,
      `${method}Value`,
      { componentOf: object, nodeId: `${nodeId}.${method}` },
      type === undefined ? {} : { type },
    );
    const dataType = DataType[(type ?? "Boolean") as keyof typeof DataType];
    const inputArguments = type === undefined ? [] : [{ name: "value", dataType, valueRank: -1 }];
    const own = namespace.addMethod(object, { browseName: this.#named(method), inputArguments });
    own.bindMethod((given, _context, done) => {
      const value: unknown = type === undefined ? true : given[0]?.value;
      const isRefused = value === this.refusedValue;
      if (!isRefused) shown.setValueFromSource({ dataType, value });
      done(null, {
        statusCode: isRefused ? StatusCodes.BadUserAccessDenied : StatusCodes.Good,
        outputArguments: [],
      });
    });
    return shown;
  }

  #index(uri: string): number {
    return this.#space.registerNamespace(uri).index;
  }

  /** "nsu=…;s=…" as this server numbers it. */
  #nodeId(text: string): string {
    const [, uri, rest = text] = /^nsu=([^;]+);(.*)$/s.exec(text) ?? [];
    return uri === undefined ? `ns=0;${rest}` : `ns=${this.#index(uri)};${rest}`;
  }

  #named(part: string): { namespaceIndex: number; name: string } {
    const [, prefix, rest = part] = /^([a-zA-Z]\w*):(.+)$/s.exec(part) ?? [];
    const uri = prefix === undefined ? undefined : this.#naming.namespaces?.[prefix];
    return uri === undefined
      ? { namespaceIndex: 0, name: part }
      : { namespaceIndex: this.#index(uri), name: rest };
  }

  #variable(address: Address, paths: ReadonlyMap<string, Address>): UAVariable {
    const key = address.node ?? `path ${address.path}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known as UAVariable;
    if (address.node !== undefined) {
      const nodeId = this.#nodeId(address.node);
      const namespace = this.#space.getNamespace(Number(/^ns=(\d+)/.exec(nodeId)?.[1] ?? 1));
      return this.#make(key, namespace, address.node, { nodeId, organizedBy: this.#objects() }, address);
    }
    return this.#onPath(address.path ?? "", paths, address) as UAVariable;
  }

  /** Makes what is missing on the way to a node: a variable where the path is that of a value, else an object. */
  #onPath(path: string, paths: ReadonlyMap<string, Address>, address: Address | undefined): Place {
    const key = `path ${path}`;
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const [, above, last = path] = /^(.*)\/([^/]+)$/s.exec(path) ?? [];
    const parent = above === undefined ? this.#root() : this.#onPath(above, paths, undefined);
    const name = last.replaceAll(/\{(\w+)\}/g, (_, one: string) => this.#naming.names?.[one] ?? one);
    const { namespaceIndex, name: browseName } = this.#named(name);
    const namespace = this.#space.getOwnNamespace();
    const qualified = { namespaceIndex, name: browseName };
    // The standard's Objects folder only organises.
    const where = parent === this.#objects() ? { organizedBy: parent } : { componentOf: parent };
    const own = address ?? paths.get(path);
    if (own !== undefined) return this.#make(key, namespace, qualified, where, own);
    const object = namespace.addObject({ browseName: qualified, ...where });
    this.#places.set(key, object);
    return object;
  }

  #make(
    key: string,
    namespace: INamespace,
    browseName: string | { namespaceIndex: number; name: string },
    where: object,
    { type, layout }: Address,
  ): UAVariable {
    const variable = namespace.addVariable({
      browseName,
      ...where,
      dataType: layout !== undefined ? "Structure" : (type ?? "BaseDataType"),
      accessLevel: "CurrentRead | CurrentWrite",
      userAccessLevel: "CurrentRead | CurrentWrite",
      minimumSamplingInterval: 20,
    });
    this.#places.set(key, variable);
    variable.on("value_changed", (data) => this.#written(variable, data.value.value as unknown));
    return variable;
  }

  /** A client has written: the value stays what it is now. */
  #written(variable: UAVariable, value: unknown): void {
    if (this.#isShowing) return;
    for (const slot of this.#slots.values()) {
      if (slot.variable !== variable || slot.address.layout !== undefined) continue;
      if (typeof value !== "number" && typeof value !== "boolean" && typeof value !== "string") continue;
      if (value === slot.raw) continue;
      slot.raw = value;
      slot.pinned = typeof value === "boolean" ? Number(value) : value;
    }
  }

  #objects(): UAObject {
    return this.#space.rootFolder.objects;
  }

  #root(): UAObject {
    const root = this.#naming.root ?? "i=85";
    const known = this.#places.get("root");
    if (known !== undefined) return known as UAObject;
    const nodeId = this.#nodeId(root);
    const found = this.#space.findNode(nodeId) as UAObject | null;
    const made =
      found ??
      this.#space.getNamespace(Number(/^ns=(\d+)/.exec(nodeId)?.[1] ?? 1)).addObject({
        browseName: "Device",
        nodeId,
        organizedBy: this.#objects(),
      });
    this.#places.set("root", made);
    return made;
  }

  #first({ typical, scale, offset, scaleFactor, address }: SimulatedPoint): number | string | boolean {
    const { type } = address as Address;
    if (type === "String" || type === "LocalizedText") return "";
    const [low, high] = typical ?? [0, 0];
    const value = low + (high - low) * this.#random();
    return typical === undefined || scaleFactor !== undefined ? 0 : (value - offset) / scale;
  }

  #wander(): void {
    for (const slot of this.#wandering) {
      const { point, pinned } = slot;
      if (point.typical === undefined || point.fixed !== undefined || pinned !== undefined) continue;
      const next = this.#first(point);
      slot.raw = typeof next === "number" && typeof slot.raw === "number" ? (3 * slot.raw + next) / 4 : next;
      this.#show(slot);
    }
  }

  /** Pins an engineering value. */
  set(name: string, value: number | string | undefined): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new Error(`no point "${name}"`);
    checkRoom(slot.point, value, roomOf(slot.address));
    slot.pinned = value;
    if (value !== undefined) this.#put(slot, value);
  }

  #put(slot: Slot, value: number | string | boolean): void {
    const { scale, offset } = slot.point;
    slot.raw = typeof value === "number" ? (value - offset) / scale : value;
    this.#show(slot);
  }

  #show({ variable, address, raw }: Slot): void {
    const variant =
      address.layout === undefined ? this.#variant(address.type, raw) : this.#structure(variable);
    const { StatusCodes } = this.#library;
    this.#isShowing = true;
    variable.setValueFromSource(variant, StatusCodes.Good, new Date(Date.now() + this.#clockOffMs));
    this.#isShowing = false;
  }

  /** Tells a value that is not good. */
  spoil(name: string, status: "uncertain" | "bad" | "overflow"): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) throw new Error(`no point "${name}"`);
    const { StatusCodes, StatusCode } = this.#library;
    const code = {
      uncertain: StatusCodes.UncertainLastUsableValue,
      bad: StatusCodes.BadSensorFailure,
      overflow: StatusCode.makeStatusCode(StatusCodes.Good, "Overflow | InfoTypeDataValue"),
    }[status];
    slot.variable.setValueFromSource(this.#variant(slot.address.type, slot.raw), code, new Date());
  }

  #variant(type: string | undefined, raw: number | string | boolean): Shown {
    const { DataType, LocalizedText } = this.#library;
    const name =
      type ?? (typeof raw === "string" ? "String" : typeof raw === "boolean" ? "Boolean" : "Double");
    const dataType = DataType[name as keyof typeof DataType] as number;
    const number = Number(raw);
    if (name === "Boolean") return { dataType, value: raw === true || number === 1 };
    if (name === "String") return { dataType, value: String(raw) };
    if (name === "LocalizedText") return { dataType, value: new LocalizedText({ text: String(raw) }) };
    if (name === "DateTime") return { dataType, value: new Date(String(raw) || Date.now()) };
    if (name === "ByteString") return { dataType, value: Buffer.from(String(raw), "hex") };
    if (name === "Int64" || name === "UInt64") {
      const bits = BigInt.asUintN(64, BigInt(Math.round(number)));
      const value = [Number(bits >> 32n), Number(bits & 0xffff_ffffn)];
      return { dataType, arrayType: this.#library.VariantArrayType.Scalar, value };
    }
    return { dataType, value: name === "Double" || name === "Float" ? number : Math.round(number) };
  }

  /** All members of one structure, in the order of the layout. */
  #structure(variable: UAVariable): Shown {
    const { DataType } = this.#library;
    const mine = [...this.#slots.values()].filter((slot) => slot.variable === variable);
    const parts = Object.entries(mine[0]?.address.layout ?? {}).map(([member, type]) => {
      const raw = mine.find(({ address }) => address.member === member)?.raw ?? 0;
      const bytes = Buffer.alloc(type === "Double" ? 8 : 4);
      if (type === "Double") bytes.writeDoubleLE(Number(raw));
      else if (type === "Float") bytes.writeFloatLE(Number(raw));
      else bytes.writeInt32LE(Math.round(Number(raw)));
      return bytes;
    });
    const body = Buffer.concat(parts);
    return { dataType: DataType.ExtensionObject, value: structureOf(this.#library, this.#space, body) };
  }

  /** Tells one record; a field that is not named is plausible. */
  tell(name: string, values: Told = {}): void {
    const entry = this.#records.get(name);
    if (entry === undefined) throw new Error(`no record "${name}"`);
    const { record, slots, trigger } = entry;
    if (trigger === undefined) return this.#raise(record, values);
    for (const [field, slot] of slots) {
      if (slot === trigger) continue;
      const value =
        values[field] ?? (slot.point.fixed === undefined ? this.#plausible(slot.point) : undefined);
      if (value !== undefined) this.#put(slot, value);
    }
    // Last of all: who sees the trigger shall see the rest.
    const own = [...slots].find(([, slot]) => slot === trigger)?.[0];
    this.#count++;
    const told = own === undefined ? undefined : values[own];
    const isText = trigger.address.type === "String";
    this.#put(trigger, told ?? (isText ? `W${this.#count}` : Number(trigger.raw) + 1));
  }

  #plausible(point: SimulatedPoint): number | string | boolean {
    const raw = this.#first(point);
    if (typeof raw !== "number") return `pretend ${point.name}`;
    return raw * point.scale + point.offset;
  }

  #raise(record: RecordOptions, values: Told): void {
    const { event = standardEvents, node = "i=2253" } = record.address as Address;
    const type = this.#space.findNode(this.#nodeId(event));
    const source = this.#space.findNode(this.#nodeId(node)) as UAObject | null;
    if (type === null || source === null) throw new Error(`no event ${event} at ${node}`);
    const data: Record<string, unknown> = {};
    for (const field of record.fields) {
      const { field: path = "", type: valueType } = field.address as Address;
      const value = values[field.name] ?? field.fixed ?? this.#plausible(field);
      const raw = typeof value === "number" ? (value - field.offset) / field.scale : value;
      const key = path.split("/").map((part) => {
        const { name } = this.#named(part);
        return name.charAt(0).toLowerCase() + name.slice(1);
      });
      data[key.join(".")] = this.#variant(valueType, raw);
    }
    source.raiseEvent(type, data as never);
  }

  clock(isWrong: boolean): void {
    this.#clockOffMs = isWrong ? clockErrorMs : 0;
    for (const slot of this.#slots.values()) this.#show(slot);
  }

  /** Names of the records, for a device that tells them now and then by itself. */
  get recordNames(): string[] {
    return [...this.#records.keys()];
  }

  close(): void {
    clearInterval(this.#walk);
  }
}

/** The numbers of a built-in type (OPC 10000-6, 5.2.2), those of 64 bits as far as a double tells them apart. */
function roomOf({ type, layout, member }: Address): Room {
  const name = String(layout === undefined ? type : layout[member ?? ""]);
  if (name === "Boolean") return { low: 0, high: 1, whole: true };
  if (name === "Float") return { low: -3.4028234663852886e38, high: 3.4028234663852886e38, hasNan: true };
  const bits = { SByte: 8, Byte: 8 }[name] ?? Number(/^U?Int(\d+)$/.exec(name)?.[1] ?? 0);
  if (bits === 0) return { ...anyNumber, hasNan: true };
  const isSigned = name === "SByte" || name.startsWith("I");
  const most = 2 ** (isSigned ? bits - 1 : bits);
  return { low: isSigned ? -most : 0, high: most - (bits === 64 ? most / 2 ** 53 : 1), whole: true };
}

/** A structure of a type that no client knows: its encoding is written as it is. */
function structureOf(library: Library, space: IAddressSpace, body: Buffer): object {
  const encoding = library.coerceNodeId(`ns=${space.getOwnNamespace().index};i=5000`);
  class Structure extends library.ExtensionObject {
    // The server compares own properties: without one a new value is no change to it.
    readonly bytes = body.toString("hex");
    override get schema(): never {
      return { name: "Structure", encodingDefaultBinary: encoding, fields: [] } as never;
    }
    override encode(stream: { writeUInt8(byte: number): void }): void {
      for (const byte of body) stream.writeUInt8(byte);
    }
    override clone(): this {
      return this;
    }
  }
  return new Structure();
}
