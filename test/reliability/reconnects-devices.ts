import { setTimeout as sleep } from "node:timers/promises";
import type { PointRequest, RecordRequest } from "../../gateway/driver.ts";
import type { Fault } from "../../simulators/simulator.ts";
import { loadSubject, Rig, type Subject, type Transport } from "../contract/contract.ts";
import { serve } from "./remote.ts";

/** The pretend devices of one driver for `reconnects.trial.ts`, in a process of their own. */

/** One device as the driver's process needs it. */
export interface Lane {
  transport: string;
  settings: Record<string, unknown>;
  points: readonly PointRequest<unknown>[];
  /** What it pushes, where it is to be listened to and not read. */
  records: readonly RecordRequest<unknown>[] | undefined;
}

/** As in the contract suite where it counts descriptors. */
const timeoutMs = 100;
/** Devices for each transport that is not shared: they are lost and found at the same time. */
const copies = 3;

const rigs: Rig[] = [];

async function openLane(subject: Subject, transport: Transport, isPushed: boolean): Promise<Lane> {
  const { read, push } = subject.table;
  const profile = (isPushed ? push : read)?.profile ?? "";
  const rig = await Rig.open(subject, transport, { timeoutMs, profile });
  rigs.push(rig);
  const { points, records } = isPushed
    ? rig.pushed()
    : { points: rig.pick(...(read?.alike ?? [])), records: undefined };
  return { transport: transport.name, settings: rig.driverSettings(), points, records };
}

const functions = {
  /** Starts the devices; also says why transports are left out. */
  async open(name: string): Promise<{ lanes: Lane[]; missing: string[] }> {
    const subject = await loadSubject(name);
    const { transports, read, push } = subject.table;
    const here = transports.filter(({ missing }) => missing === undefined);
    const lanes: Lane[] = [];
    for (const transport of here) {
      const kinds = [...(read === undefined ? [] : [false]), ...(push === undefined ? [] : [true])];
      for (let copy = 0; copy < (transport.isShared ? 1 : copies); copy++)
        for (const isPushed of kinds) lanes.push(await openLane(subject, transport, isPushed));
    }
    return {
      lanes,
      missing: transports.flatMap(({ name: one, missing }) =>
        missing === undefined ? [] : [`${one}: ${missing}`],
      ),
    };
  },

  async fault(lane: number, fault: Fault | undefined, delayMs: number): Promise<void> {
    rigs[lane]?.simulator().fault(fault, delayMs);
    // Closing a listener takes a turn of the event loop.
    await sleep(5);
  },

  /** A device that tells changes tells all that it has. */
  tell(lane: number): void {
    const rig = rigs[lane];
    rig?.pinAll();
    for (const { name } of rig?.profile.records ?? []) rig?.simulator().tell?.(name);
  },

  async close(): Promise<void> {
    await Promise.all(rigs.map((rig) => rig.close()));
  },
};

export type Devices = typeof functions;

serve(functions);
