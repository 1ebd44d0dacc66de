import type { Cassette } from "../../cassette/cassette.ts";
import { expectedRead, type Outcome } from "../../cassette/expected.ts";
import { Heard } from "../../cassette/heard.ts";
import type { Tap } from "../../cassette/tape.ts";
import type { DeviceConfig } from "../../config/config.ts";
import type { Identity } from "../../driver.ts";
import { WrongDeviceError } from "../../host/identify.ts";
import { comparedIdentity, personalFields } from "./cassettes.ts";
import { FieldDevice } from "../../field/field.ts";
import { pause } from "../output.ts";

const readsMax = 10;
const lookMs = 200;
const calmMs = 50;
const againMax = 10;
/** A device that calls tries again within a minute. */
const callMsMax = 90_000;

/** What came of the conversation that is on the tape. */
export interface Take extends Outcome {
  way: Cassette["way"];
  who: Identity;
  heard: Heard;
  limits: string[];
}

/** Every field that is personal is told in clear here, for who must be hidden has to be known. */
function unveiled(device: DeviceConfig): DeviceConfig {
  return {
    ...device,
    records: device.records.map((one) => ({
      ...one,
      fields: one.fields.map((field) =>
        field.privacy === "none" ? field : { ...field, privacy: "token" as const },
      ),
    })),
  };
}

/**
 * The reads of a device that is listened to: of the last, what is known when nothing is on its way. What is told
 * while it is asked would be on the tape and not in the readings: then it is asked once more.
 */
export async function settled(
  field: Pick<FieldDevice, "read">,
  tape: Tap["tape"],
): Promise<Outcome["reads"]> {
  const { signal } = new AbortController();
  const reads: Outcome["reads"] = [{}];
  for (let again = againMax; ; again--) {
    for (let looks = againMax; looks > 0 && tape.calmMs() < calmMs; looks--) await pause(calmMs, signal);
    const before = tape.news;
    const read = expectedRead(await field.read({ points: [], raw: false }, signal));
    if (tape.news !== before && again > 0) reads.push({});
    else {
      tape.stop();
      return [...reads, read];
    }
  }
}

/** Reads a device behind a tap, or listens to it, until the time is over, a limit is reached or `stop` aborts. */
export async function take(
  device: DeviceConfig,
  stateFolder: string,
  { tape, called }: Tap,
  forMs: number,
  stop: AbortSignal,
): Promise<Take> {
  const over = new AbortController();
  // It calls when it likes; the driver alone would not wait for so long.
  if (called !== undefined)
    await Promise.race([called, pause(callMsMax, AbortSignal.any([stop, over.signal]))]);
  over.abort();
  // What is told when the tape has ended need not be on it.
  const heard = new Heard(
    personalFields(device),
    () => tape.end("records"),
    () => tape.isKeeping,
  );
  const options = { points: [], raw: false };
  const { signal } = new AbortController();
  const personal = { how: "clear", legalBasis: "recording" } as const;
  const field = await FieldDevice.open(unveiled(device), stateFolder, stop, personal, heard);
  const endMs = performance.now() + forMs;
  const leftMs = () => endMs - performance.now();
  try {
    // A recording of another model would be evidence for this one.
    if (field.mismatch !== undefined) throw new WrongDeviceError(field.mismatch);
    const first = await field.read(options, stop);
    const isPushed = device.points.some(({ poll }) => poll === "push") || device.records.length > 0;
    const way = isPushed || first.some(({ unheard }) => unheard === true) ? "listens" : "asks";
    const reads: Outcome["reads"] = [];
    const isOver = () => tape.full !== undefined || stop.aborted;
    if (way === "listens") {
      while (leftMs() > 0 && !isOver()) await pause(Math.min(lookMs, Math.max(0, leftMs())), stop);
      reads.push(...(await settled(field, tape)));
    } else {
      const periodMs = Math.min(Math.max(Math.min(device.pollMs.normal, forMs / 3), lookMs), 10_000);
      reads.push(expectedRead(first));
      while (reads.length < readsMax && leftMs() > periodMs) {
        await pause(periodMs, stop);
        if (isOver()) break;
        const read = expectedRead(await field.read(options, signal));
        // The end of this one is not on the tape.
        if (tape.full !== undefined) break;
        reads.push(read);
      }
    }
    const identity = comparedIdentity(field.identity);
    const limits = tape.full === undefined ? [] : [tape.full];
    return { way, reads, who: field.identity, identity, records: [...heard.records], heard, limits };
  } finally {
    await field.close();
  }
}
