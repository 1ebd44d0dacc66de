import { randomBytes, randomUUID } from "node:crypto";
import {
  addressOf,
  filled,
  plain,
  put,
  treeOf,
  type Said,
  type Settings,
  type Speech,
  type Told,
  type Valued,
} from "./speech.ts";

type Tree = Record<string, unknown>;
type Variables = Record<string, string>;

const said = (topic: string, payload: unknown, retain = false): Said => ({
  topic,
  payload: typeof payload === "string" ? payload : JSON.stringify(payload),
  qos: 1,
  retain,
});

/** Values by the topic that they are told under. */
function byTopic(values: readonly Valued[], own: string | undefined): Map<string, Valued[]> {
  const groups = new Map<string, Valued[]>();
  for (const one of values) {
    const topic = addressOf(one.point).topic ?? own ?? "";
    groups.set(topic, [...(groups.get(topic) ?? []), one]);
  }
  return groups;
}

/** Plain JSON on topics of the profile's choice. */
export function jsonSpeech({ topic, time, id, variables = {} }: Settings): Speech {
  const message = (template: string, tree: Tree, timeMs: number): Said => {
    if (time !== undefined) put(tree, time, new Date(timeMs).toISOString());
    if (id !== undefined) put(tree, id, randomUUID());
    return said(filled(template, variables), tree);
  };
  const values: Speech["values"] = (all, timeMs) =>
    [...byTopic(all, topic)].map(([template, some]) => message(template, treeOf(some, plain), timeMs));
  return {
    hello: values,
    values,
    record(record, fields, _, timeMs) {
      const address = addressOf(record);
      const tree = treeOf(fields, plain);
      if (address.when !== undefined) put(tree, address.when.path, address.when.equals);
      return [message(address.topic ?? topic ?? "", tree, timeMs)];
    },
    goodbye: () => [],
  };
}

/** Zigbee2MQTT 2: one JSON object with all states, an availability topic, and the bridge's list of devices. */
export function zigbeeSpeech(
  { variables = {} }: Settings,
  { vendor = "", model = "", firmware = "", serial = "" }: Variables,
  list: (name: string, entry: unknown) => unknown[],
): Speech {
  const { base = "zigbee2mqtt", name = "device" } = variables;
  const state = (tree: Tree, timeMs: number): Said =>
    said(`${base}/${name}`, { ...tree, linkquality: 120, last_seen: new Date(timeMs).toISOString() });
  const entry = {
    ieee_address: `0x${Buffer.from(serial).toString("hex").padStart(16, "0").slice(-16)}`,
    type: "Router",
    friendly_name: name,
    software_build_id: firmware,
    definition: { vendor, model, description: "pretend device", exposes: [] },
    supported: true,
  };
  const isOnline = (word: string) => said(`${base}/${name}/availability`, { state: word }, true);
  return {
    hello: (all, timeMs) => [
      said(`${base}/bridge/devices`, list(name, entry), true),
      isOnline("online"),
      state(treeOf(all, plain), timeMs),
    ],
    values: (all, timeMs) => [state(treeOf(all, plain), timeMs)],
    record: (_, fields, others, timeMs) => [state(treeOf([...others, ...fields], plain), timeMs)],
    goodbye: () => [isOnline("offline")],
    commandTopic: `${base}/${name}/set`,
  };
}

const items = (values: readonly Valued[]): Tree => treeOf(values, (one) => String(plain(one)));

/** ONVIF events over MQTT: strings under Source and Data; the state of a property is retained. */
export function onvifSpeech({ variables = {} }: Settings): Speech {
  const { prefix = "camera" } = variables;
  const event = (address: { event?: string; state?: boolean }, tree: Tree, timeMs: number): Said => {
    const sources = Object.values((tree["Source"] ?? {}) as Variables);
    const topic = `${prefix}/onvif-ej/${address.event ?? ""}/&${sources.join("/")}`;
    const payload = { UtcTime: new Date(timeMs).toISOString(), Source: {}, Data: {}, ...tree };
    return said(topic, payload, address.state === true);
  };
  const values: Speech["values"] = (all, timeMs) => {
    const groups = Map.groupBy(all, ({ point }) => addressOf(point).event ?? "");
    return [...groups].map(([name, some]) => event({ event: name, state: true }, items(some), timeMs));
  };
  return {
    hello: values,
    values,
    record: (record, fields, _, timeMs) => [event(addressOf(record), items(fields), timeMs)],
    goodbye: () => [],
  };
}

/** What the radio says of an uplink, from points with `from: uplink`. */
function radioOf(values: readonly Valued[], count: number): Tree & { gateways: number } {
  const own = values.filter(({ point }) => addressOf(point).from === "uplink");
  return { rssi: -101, snr: 7.5, fCnt: count, fPort: 85, gateways: 2, ...treeOf(own, plain) };
}

const ofPayload = ({ point }: Valued): boolean => addressOf(point).from !== "uplink";

type Wrap = (object: Tree, radio: ReturnType<typeof radioOf>, timeMs: number) => Said;

/** A LoRaWAN device as its network server hands it on, after the server's codec. */
export function lorawanSpeech({ server, variables = {} }: Settings): Speech {
  const wrap = server === "ttn-v3" ? ttn(variables) : chirpStack(variables);
  let count = 0;
  const uplink = (values: readonly Valued[], timeMs: number): Said =>
    wrap(treeOf(values.filter(ofPayload), plain), radioOf(values, ++count), timeMs);
  const record = (
    told: Told,
    fields: readonly Valued[],
    others: readonly Valued[],
    timeMs: number,
  ): Said[] => {
    const { when } = addressOf(told);
    const marker =
      when === undefined
        ? []
        : [{ point: { ...fields[0]!.point, address: { path: when.path } }, value: when.equals }];
    return [uplink([...others, ...fields, ...marker], timeMs)];
  };
  return {
    hello: (all, timeMs) => [uplink(all, timeMs)],
    values: (all, timeMs) => [uplink(all, timeMs)],
    record,
    goodbye: () => [],
  };
}

function chirpStack({ applicationId = "app", devEui = "0000000000000000" }: Variables): Wrap {
  return (object, { rssi, snr, fCnt, fPort, gateways }, timeMs) =>
    said(`application/${applicationId}/device/${devEui}/event/up`, {
      deduplicationId: randomUUID(),
      time: new Date(timeMs).toISOString().replace("Z", "+00:00"),
      deviceInfo: { tenantName: "city", applicationId, deviceName: "pretend", devEui, tags: {} },
      devAddr: "01a2b3c4",
      adr: true,
      dr: 5,
      fCnt,
      fPort,
      confirmed: false,
      data: "AQID",
      object,
      rxInfo: Array.from({ length: gateways }, (_, i) => ({
        gatewayId: `00160000000000${i}`,
        uplinkId: i + 1,
        rssi: Number(rssi) - 7 * i,
        snr: i === 0 ? snr : -3,
        crcStatus: "CRC_OK",
      })),
      txInfo: {
        frequency: 923_200_000,
        modulation: { lora: { bandwidth: 125_000, spreadingFactor: 7, codeRate: "CR_4_5" } },
      },
    });
}

function ttn({ applicationId = "app@ttn", deviceId = "pretend" }: Variables): Wrap {
  const session = randomBytes(16).toString("base64");
  return (object, { rssi, snr, fCnt, fPort, gateways }, timeMs) => {
    const received = new Date(timeMs).toISOString().replace("Z", "000000Z");
    return said(`v3/${applicationId}/devices/${deviceId}/up`, {
      end_device_ids: {
        device_id: deviceId,
        application_ids: { application_id: applicationId.split("@")[0] },
        dev_eui: "0004A30B001C0530",
        dev_addr: "00BCB929",
      },
      correlation_ids: [`as:up:${randomUUID()}`],
      received_at: received,
      uplink_message: {
        session_key_id: session,
        f_port: fPort,
        // Empty fields are left out.
        ...(fCnt === 0 ? {} : { f_cnt: fCnt }),
        frm_payload: "AQID",
        decoded_payload: object,
        rx_metadata: Array.from({ length: gateways }, (_, i) => ({
          gateway_ids: { gateway_id: `gw${i}` },
          rssi: Number(rssi) - 7 * i,
          channel_rssi: Number(rssi) - 7 * i,
          snr: i === 0 ? snr : -3,
        })),
        settings: {
          data_rate: { lora: { bandwidth: 125_000, spreading_factor: 7 } },
          frequency: "923200000",
        },
        received_at: received,
      },
    });
  };
}
