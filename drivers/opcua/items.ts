import { DeviceError, type RecordRequest, type Subscription } from "../../gateway/driver.ts";
import { statusName } from "./failures.ts";
import {
  AttributeIds,
  coerceNodeId,
  ContentFilter,
  ContentFilterElement,
  CreateMonitoredItemsRequest,
  DataChangeFilter,
  DataType,
  EventFilter,
  FilterOperator,
  LiteralOperand,
  QualifiedName,
  SimpleAttributeOperand,
  TimestampsToReturn,
  Variant,
  type CreateMonitoredItemsResponse,
  type MonitoredItemCreateResult,
  type NodeId,
} from "./library.ts";
import type { Found, Nodes, Send } from "./nodes.ts";
import type { Address } from "./settings.ts";

/** Which monitored items a subscription needs (OPC 10000-4, 5.12), and what the server makes of them. */

const itemsPerRequest = 500;
/** DataChangeTrigger: status or value. */
const statusValue = 1;
const deadbandTypes = { none: 0, absolute: 1, percent: 2 } as const;
const monitoringModeReporting = 2;
/** BaseEventType, the type that all events have. */
const baseEventType = "i=2041";

export interface Items {
  /** Positions in `points` that are to be polled. */
  polled: number[];
  /** The nodes of points and of records, at the positions of these. */
  points: Found[];
  records: Found[];
  /** The nodes of the fields of records that are read after their trigger. */
  fields: (readonly Found[])[];
}

interface Wanted {
  handle: number;
  node: NodeId;
  address: Address;
  filter: DataChangeFilter | EventFilter | undefined;
}

/** Finds all nodes of a subscription in one request or two. */
export async function findItems(
  { points, records, signal }: Subscription<Address>,
  nodes: Nodes,
  send: Send,
): Promise<Items> {
  const readFields = records.map(({ address, fields }) => (address.event === undefined ? fields : []));
  const all = [...points, ...records, ...readFields.flat()].map(({ address }) => address);
  const found = await nodes.find(all, send, signal);
  let at = points.length + records.length;
  const fields = readFields.map(({ length }) => found.slice(at, (at += length)));
  return {
    polled: [],
    points: found.slice(0, points.length),
    records: found.slice(points.length, points.length + records.length),
    fields,
  };
}

/** Makes the items; what the server refuses is put into `items.polled`, or told to `refused` for a record. */
export async function createItems(
  subscriptionId: number,
  { points, records, signal }: Subscription<Address>,
  items: Items,
  nodes: Nodes,
  send: Send,
  refused: (record: string, code: string) => void,
): Promise<void> {
  const wanted: Wanted[] = [];
  points.forEach(({ address }, i) => {
    const found = items.points[i];
    if (found === undefined || "code" in found) items.polled.push(i);
    else wanted.push({ handle: i, node: found.node, address, filter: changeFilter(address) });
  });
  records.forEach((record, i) => {
    const found = items.records[i];
    if (found === undefined || "code" in found) return refused(record.name, found?.code ?? "no-node");
    const filter =
      record.address.event === undefined ? changeFilter(record.address) : eventFilter(record, nodes);
    if (filter !== undefined && "code" in filter) return refused(record.name, filter.code);
    wanted.push({ handle: points.length + i, node: found.node, address: record.address, filter });
  });
  const step = Math.min(itemsPerRequest, nodes.limits.items);
  for (let at = 0; at < wanted.length; at += step) {
    const group = wanted.slice(at, at + step);
    const results = await request(subscriptionId, group, send, signal);
    // A server that knows no dead band tells every change: the host has one of its own.
    const plain = group.filter(
      ({ filter }, i) => filter instanceof DataChangeFilter && isAboutFilter(results[i]),
    );
    const again =
      plain.length === 0
        ? []
        : await request(
            subscriptionId,
            plain.map((one) => ({ ...one, filter: undefined })),
            send,
            signal,
          );
    group.forEach((one, i) => {
      const second = plain.indexOf(one);
      const result = second < 0 ? results[i] : again[second];
      if (result?.statusCode.isGoodish() === true) return;
      const code = result === undefined ? "no-result" : statusName(result.statusCode);
      if (one.handle < points.length) items.polled.push(one.handle);
      else refused(records[one.handle - points.length]?.name ?? "", code);
    });
  }
}

async function request(
  subscriptionId: number,
  wanted: readonly Wanted[],
  send: Send,
  signal: AbortSignal,
): Promise<MonitoredItemCreateResult[]> {
  const itemsToCreate = wanted.map(({ handle, node, address, filter }) => ({
    itemToMonitor: {
      nodeId: node,
      attributeId: filter instanceof EventFilter ? AttributeIds.EventNotifier : AttributeIds.Value,
    },
    monitoringMode: monitoringModeReporting,
    requestedParameters: {
      clientHandle: handle,
      // -1: as often as the subscription publishes; events are not sampled.
      samplingInterval: filter instanceof EventFilter ? 0 : (address.sampling ?? -1),
      queueSize: filter instanceof EventFilter ? Math.max(100, address.queue) : address.queue,
      discardOldest: true,
      ...(filter === undefined ? {} : { filter }),
    },
  }));
  const create = new CreateMonitoredItemsRequest({
    subscriptionId,
    timestampsToReturn: TimestampsToReturn.Both,
    itemsToCreate,
  });
  const { results } = await send<CreateMonitoredItemsResponse>(create, signal);
  if (results?.length !== wanted.length)
    throw new DeviceError("garbage", `${wanted.length} items wanted, ${results?.length ?? 0} answered`);
  return results;
}

function isAboutFilter(result: MonitoredItemCreateResult | undefined): boolean {
  return /^Bad(MonitoredItemFilter|FilterNotAllowed|DeadbandFilter)/.test(result?.statusCode.name ?? "");
}

function changeFilter({ deadband, deadbandPercent }: Address): DataChangeFilter | undefined {
  if (deadband === undefined && deadbandPercent === undefined) return undefined;
  return new DataChangeFilter({
    trigger: statusValue,
    deadbandType: deadband === undefined ? deadbandTypes.percent : deadbandTypes.absolute,
    deadbandValue: deadband ?? deadbandPercent ?? 0,
  });
}

/** Select the event's time, its type and the record's fields; where: of this type or one below it. */
function eventFilter(
  { address, fields }: RecordRequest<Address>,
  nodes: Nodes,
): EventFilter | { code: string } {
  const type = nodes.byId(address.event ?? baseEventType);
  if ("code" in type) return type;
  const selectClauses = ["Time", "EventType"].map((name) => operand([new QualifiedName({ name })]));
  for (const { address: field } of fields) {
    const names = nodes.names(field.field ?? "");
    if ("code" in names) return names;
    selectClauses.push(operand(names));
  }
  const literal = new LiteralOperand({ value: new Variant({ dataType: DataType.NodeId, value: type.node }) });
  const ofType = new ContentFilterElement({
    filterOperator: FilterOperator.OfType,
    filterOperands: [literal],
  });
  return new EventFilter({ selectClauses, whereClause: new ContentFilter({ elements: [ofType] }) });
}

/** Fields are found from BaseEventType on, so that those of any subtype are as well (OPC 10000-4, 7.22.3). */
function operand(browsePath: readonly QualifiedName[]): SimpleAttributeOperand {
  return new SimpleAttributeOperand({
    typeDefinitionId: coerceNodeId(baseEventType),
    browsePath: [...browsePath],
    attributeId: AttributeIds.Value,
  });
}
