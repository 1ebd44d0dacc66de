import type { Answer, PointRequest, ReadResult } from "../../gateway/driver.ts";
import type { SiteMessage, StatusMessage, StatusValue } from "./messages.ts";
import type { Session } from "./session.ts";
import { partsOf, requestedAnswer } from "./requests.ts";
import type { Address, AggregatedAddress, RequestedAddress, StatusAddress } from "./settings.ts";
import { aggregatedAnswer, answerOf, bad } from "./values.ts";
import { atLeast } from "./versions.ts";

export type Points = readonly PointRequest<Address>[];

/** Requests that one read may spend to find the statuses that a site does not understand. */
const searchRequestsMax = 32;
const refusedMax = 1000;

/** One status value on one component, and the points that show it or parts of it. */
export interface Item {
  readonly component: string;
  readonly code: string;
  readonly name: string;
  readonly key: string;
  readonly points: { index: number; address: StatusAddress }[];
}

interface Plan {
  readonly components: ReadonlyMap<string, Item[]>;
  readonly requested: readonly { index: number; address: RequestedAddress }[];
  readonly aggregated: ReadonlyMap<string, { index: number; address: AggregatedAddress }[]>;
}

export const keyOf = (component: string, code: string, name: string): string =>
  JSON.stringify([component, code, name]);

const statusesOf = (address: Address): readonly StatusAddress[] =>
  "status" in address ? [address] : "requested" in address ? partsOf(address) : [];

/** The statuses that a list of points needs, each once, by component. */
export function itemsOf(
  points: readonly Pick<Points[number], "address">[],
  mainComponent: string,
): Map<string, Item[]> {
  const components = new Map<string, Item[]>();
  const wanted = points.flatMap(({ address }, index) =>
    statusesOf(address).map((status) => ({ address: status, index })),
  );
  for (const { address, index } of wanted) {
    const component = address.component ?? mainComponent;
    const items = components.get(component) ?? [];
    components.set(component, items);
    const key = keyOf(component, address.status, address.name);
    let item = items.find((one) => one.key === key);
    if (item === undefined) {
      item = { component, code: address.status, name: address.name, key, points: [] };
      items.push(item);
    }
    item.points.push({ index, address });
  }
  return components;
}

/** Says once when a text has another number of entries than points read: the site file then counts its parts wrong. */
export function checkEntries(session: Session, { key, code, name, points }: Item, value: StatusValue): void {
  const read = points.flatMap(({ address: { of, item = 1 } }) => (of === undefined ? [] : [item]));
  const [first] = points;
  const highest = Math.max(0, ...read);
  if (first === undefined || typeof value.value !== "string" || value.value === "" || highest === 0) return;
  const isChars = first.address.of === "chars";
  const entries = isChars ? value.value.length : value.value.split(",").length;
  // Some of the entries are a choice, and one of a list is the first intersection's; the first so many are a count.
  if (entries === highest || new Set(read).size < highest || (highest === 1 && !isChars)) return;
  session.warnOnce(
    key,
    `it tells ${entries} entries in ${code} ${name}, and points are set up for ${highest}: see signalGroups and detectors in the site file`,
  );
}

/** Asks a site for statuses: one request for each component. */
export class Reader {
  readonly #session: Session;
  readonly #plans = new WeakMap<Points, Plan>();
  /** Statuses that the site does not understand, and its reason; not asked again on this connection. */
  readonly #refused = new Map<string, string>();

  constructor(session: Session) {
    this.#session = session;
  }

  async read(points: Points, raw: boolean, signal: AbortSignal): Promise<ReadResult> {
    const plan = this.#planOf(points);
    const answers: Answer[] = points.map(() => bad("rsmp-no-status", "not a value that can be read"));
    const atMs: number[] = points.map(() => performance.now());
    const parts = new Map(plan.requested.map(({ index }) => [index, new Map<string, Answer>()]));
    const told = (index: number, { name }: StatusAddress, answer: Answer) => {
      const own = parts.get(index);
      if (own === undefined) answers[index] = answer;
      else own.set(name, answer);
      atMs[index] = performance.now();
    };
    // All at once: a site of sixty detectors far away would be asked for minutes one by one.
    const asking = [...plan.components.values()].map((items) =>
      this.#ask(items, { requests: searchRequestsMax }, signal, ({ points: shown }, answer) => {
        for (const { index, address } of shown)
          told(
            index,
            address,
            typeof answer === "string" ? bad("rsmp-not-ack", answer) : answer(address, raw),
          );
      }),
    );
    await Promise.all(asking);
    for (const { index, address } of plan.requested)
      answers[index] = requestedAnswer(address, parts.get(index) ?? new Map());
    for (const [component, asked] of plan.aggregated) {
      const answer = await this.#aggregated(component, signal);
      for (const { index, address } of asked) {
        answers[index] = answer(address, raw);
        atMs[index] = performance.now();
      }
    }
    return plan.components.size + plan.aggregated.size > 1 ? { answers, atMs } : { answers };
  }

  #planOf(points: Points): Plan {
    const known = this.#plans.get(points);
    if (known !== undefined) return known;
    const aggregated = points.flatMap(({ address }, index) =>
      "aggregated" in address ? [{ index, address }] : [],
    );
    const requested = points.flatMap(({ address }, index) =>
      "requested" in address ? [{ index, address }] : [],
    );
    const plan = {
      requested,
      components: itemsOf(points, this.#session.main),
      aggregated: Map.groupBy(aggregated, ({ address }) => address.component ?? this.#session.aggregatedMain),
    };
    this.#plans.set(points, plan);
    return plan;
  }

  /** A site refuses a request as a whole: the statuses at fault are found by halving. */
  async #ask(
    items: readonly Item[],
    left: { requests: number },
    signal: AbortSignal,
    tell: (item: Item, answer: string | ((address: StatusAddress, raw: boolean) => Answer)) => void,
  ): Promise<void> {
    const wanted = items.filter((item) => {
      const reason = this.#refused.get(item.key);
      if (reason !== undefined) tell(item, reason);
      return reason === undefined;
    });
    const [first] = wanted;
    if (first === undefined) return;
    const { component } = first;
    const outcome = await this.#session.ask(
      "StatusRequest",
      { ntsOId: "", xNId: "", cId: component, sS: wanted.map(({ code, name }) => ({ sCI: code, n: name })) },
      (message) => isResponse(message, component, wanted),
      signal,
    );
    if (outcome !== undefined && "message" in outcome && outcome.message.kind === "status") {
      const { values, timeMs } = outcome.message;
      const byKey = new Map(values.map((value) => [keyOf(component, value.code, value.name), value]));
      for (const item of wanted) {
        const value = byKey.get(item.key);
        if (value !== undefined) checkEntries(this.#session, item, value);
        tell(item, this.#answerer(value, timeMs));
      }
      return;
    }
    const reason = outcome !== undefined && "rea" in outcome ? outcome.rea : "no values";
    left.requests -= 2;
    if (wanted.length === 1 || left.requests < 0) {
      for (const item of wanted) {
        if (wanted.length === 1 && this.#refused.size < refusedMax) this.#refused.set(item.key, reason);
        tell(item, reason);
      }
      return;
    }
    const middle = wanted.length >> 1;
    await this.#ask(wanted.slice(0, middle), left, signal, tell);
    await this.#ask(wanted.slice(middle), left, signal, tell);
  }

  #answerer(value: StatusValue | undefined, timeMs: number) {
    const ownMs = this.#session.timeMs(timeMs);
    return (address: StatusAddress, raw: boolean): Answer =>
      value === undefined
        ? bad("rsmp-missing", "the site's answer leaves it out")
        : answerOf(address, value, ownMs, raw);
  }

  async #aggregated(
    component: string,
    signal: AbortSignal,
  ): Promise<(address: AggregatedAddress, raw: boolean) => Answer> {
    const session = this.#session;
    // Up to 3.1.4 it cannot be asked for, but is told after each connection and when it changes.
    let message = session.aggregated.get(component);
    if (atLeast(session.version, "3.1.5")) {
      const outcome = await session.ask(
        "AggregatedStatusRequest",
        { ntsOId: "", xNId: "", cId: component },
        // Where the main component is not known its answer may have another id; one that is known does not count.
        (answer) =>
          answer.kind === "aggregated" &&
          (answer.component === component ||
            (component === session.main && !session.aggregated.has(component))),
        signal,
      );
      if (outcome !== undefined && "rea" in outcome) return () => bad("rsmp-not-ack", outcome.rea);
      if (outcome?.message.kind === "aggregated") message = outcome.message;
    }
    const found = message;
    if (found === undefined) return () => bad("rsmp-none", "the site has told no aggregated status");
    return (address, raw) => aggregatedAnswer(address, found, session.timeMs(found.timeMs), { raw });
  }
}

/** RSMP answers name no request: component and statuses tell which one is meant. An answer may leave some out. */
function isResponse(message: SiteMessage, component: string, items: readonly Item[]): boolean {
  if (message.kind !== "status" || message.type !== "StatusResponse" || message.component !== component)
    return false;
  const { values } = message satisfies StatusMessage;
  const asked = new Set(items.map(({ key }) => key));
  return values.every(({ code, name }) => asked.has(keyOf(component, code, name)));
}
