import type { DeviceState } from "../host/messages.ts";
import { ownerSentence } from "../outbox/faults.ts";
import { ChangeRefused } from "./desk.ts";
import type { Plan } from "./plan.ts";

/** What the gate looks at: a part of the gateway's status. */
export interface Seen {
  gateway?: { id: string };
  outbox?: { rows: number };
  uplinks: readonly { id: string; state: string; reason?: string }[];
  hosts: readonly { driver: string; state: string; restarts: number; reason?: string }[];
  devices: readonly {
    id: string;
    driver: string;
    enabled: boolean;
    state: DeviceState;
    reason?: string;
  }[];
}

/** What is kept would go out under another id: throws KERB-OUT-OWNER. A folder of its own is looked at when it is opened. */
export function checkRename(
  { site }: Plan,
  { gateway: runs, outbox }: Seen,
  { id: gateway, stateFolder: folder }: { id: string; stateFolder: string },
): void {
  const renamed = site.find(({ key }) => key === "gateway.id");
  if (renamed === undefined || site.some(({ key }) => key === "gateway.state")) return;
  // The plan shows no id that comes from a reference.
  const owner = runs?.id ?? renamed.before ?? "";
  throw new ChangeRefused("KERB-OUT-OWNER", ownerSentence({ owner, gateway, folder, kept: outbox?.rows }));
}

const isThere = (state: DeviceState) => state === "online" || state === "listening";
const isDown = (state: DeviceState) => ["lost", "wrong-device", "quarantined"].includes(state);

/** Devices that the change itself may have taken down: those that it touched, and all that run in one host with them. */
function touched(plan: Plan, before: Seen, after: Seen): (device: { id: string; driver: string }) => boolean {
  if (plan.restartsGateway) return () => true;
  const own = new Set(plan.devices.filter(({ action }) => action !== "none").map(({ device }) => device));
  const drivers = new Set(
    [...before.devices, ...after.devices].filter(({ id }) => own.has(id)).map(({ driver }) => driver),
  );
  return ({ driver }) => drivers.has(driver);
}

/**
 * Why a change has to be taken back, as one sentence; undefined: nothing says so. What was down before, what is new
 * and what the change did not touch does not count. `isOver`: the time is up, so what is not back stays away.
 */
export function harmOf(plan: Plan, before: Seen, after: Seen, isOver: boolean): string | undefined {
  const isTouched = touched(plan, before, after);
  const drivers = new Set(after.devices.filter(isTouched).map(({ driver }) => driver));
  for (const { driver, restarts, state, reason } of after.hosts) {
    const was = before.hosts.find((host) => host.driver === driver);
    const restartsBefore = plan.restartsGateway ? 0 : (was?.restarts ?? 0);
    const wasSick = was !== undefined && (was.restarts > 0 || was.state === "waiting");
    if (!drivers.has(driver) || wasSick || restarts <= restartsBefore) continue;
    return `the host of the driver "${driver}" ended${state === "waiting" || reason !== undefined ? ` (${reason ?? state})` : ""}`;
  }
  if (!isOver) return undefined;
  if (plan.restartsGateway)
    for (const { id, state, reason } of after.uplinks) {
      const was = before.uplinks.find((uplink) => uplink.id === id);
      if (was?.state === "connected" && state !== "connected")
        return `the link "${id}" was connected before and is not${reason === undefined ? "" : `: ${reason}`}`;
    }
  const gone = after.devices.filter((device) => {
    const was = before.devices.find(({ id }) => id === device.id);
    const wasThere = was !== undefined && was.enabled && isThere(was.state);
    return wasThere && device.enabled && isTouched(device) && isDown(device.state);
  });
  const [first] = gone;
  if (first === undefined) return undefined;
  const names = gone
    .slice(0, 10)
    .map(({ id }) => id)
    .join(", ");
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  return gone.length === 1
    ? `${names} was online before and is not${why}`
    : `${gone.length} devices were online before and are not (${names})${why}`;
}
