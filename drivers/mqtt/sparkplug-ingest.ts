import { DeviceError, type PointRequest, type Reading, type Subscription } from "../../gateway/driver.ts";
import type { Broker } from "./broker.ts";
import { isBad, readingAs } from "./answers.ts";
import type { Address, Settings } from "./settings.ts";
import { loadCodec, readingOfMetric, type Payload } from "./sparkplug.ts";
import { SparkplugNode, type Doubt, type KnownMetric } from "./sparkplug-node.ts";

/** Hands on the metrics of one Sparkplug node or device. Throws `DeviceError` `unsupported` for records. */
export async function listenToSparkplug(
  broker: Broker,
  settings: Settings,
  { points, records, sink }: Subscription<Address>,
  lost: (error: DeviceError) => void,
): Promise<{ granted: Promise<unknown>; stop: () => void }> {
  if (records.length > 0)
    throw new DeviceError("unsupported", `${broker.place}: Sparkplug tells metrics, no records`);
  const { group = "", node = "", device } = settings.variables;
  const wanted = byMetric(points);
  const codec = await loadCodec();
  return SparkplugNode.join(broker, codec, {
    place: { group, node },
    listener: {
      device,
      mayAsk: settings.rebirth,
      payloadBytesMax: settings.payloadBytesMax,
      lost,
      metrics(metrics, payload, doubt) {
        const values = metrics.flatMap((metric) => {
          const answer = answerOf(metric, payload, doubt);
          return (wanted.get(metric.name) ?? []).map(({ index, address }) => ({
            index,
            answer: answer.value === null ? answer : { ...answer, ...readingAs(answer, address) },
          }));
        });
        if (values.length > 0) sink.readings(values);
        // A device whose values are bad, or that tells others, lives all the same.
        if (values.every(({ answer }) => isBad(answer))) sink.alive();
      },
    },
  });
}

function byMetric(
  points: readonly PointRequest<Address>[],
): Map<string, { index: number; address: Address }[]> {
  const wanted = new Map<string, { index: number; address: Address }[]>();
  points.forEach(({ address }, index) => {
    const name = address.metric ?? "";
    wanted.set(name, [...(wanted.get(name) ?? []), { index, address }]);
  });
  return wanted;
}

function answerOf({ metric, datatype }: KnownMetric, payload: Payload, doubt: Doubt | undefined): Reading {
  const timeMs = metric.timestampMs ?? payload.timestampMs;
  const reading = readingOfMetric(metric, datatype);
  const timed: Reading = {
    ...reading,
    ...(timeMs === undefined ? {} : { sourceTimeMs: timeMs }),
    ...(metric.isHistorical ? { past: true } : {}),
  };
  return doubt === undefined || timed.status === "bad" ? timed : { ...timed, status: "uncertain", ...doubt };
}
