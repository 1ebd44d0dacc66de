import type { HostDevice } from "./messages.ts";

interface Packed {
  pointLists: HostDevice["points"][];
  /** `points` is a place in `pointLists`. */
  devices: (Omit<HostDevice, "points"> & { points: number })[];
}

/**
 * Devices as JSON text in which equal lists of points stand once: twenty thousand points of two hundred equal
 * meters take as much as those of one.
 */
export function packDevices(devices: readonly HostDevice[]): string {
  const places = new Map<string, number>();
  const packed = devices.map(({ points, ...device }): Packed["devices"][number] => {
    const text = JSON.stringify(points);
    const place = places.get(text) ?? places.size;
    places.set(text, place);
    return { ...device, points: place };
  });
  return `{"pointLists":[${[...places.keys()].join(",")}],"devices":${JSON.stringify(packed)}}`;
}

/** Devices with equal points have the same array of them, so that what is made from it can be shared. */
export function unpackDevices(text: string): HostDevice[] {
  const { pointLists, devices } = JSON.parse(text) as Packed;
  return devices.map(({ points, ...device }) => ({ ...device, points: pointLists[points] ?? [] }));
}
