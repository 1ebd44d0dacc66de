import { expect, it } from "vitest";
import type { HostDevice, HostPoint } from "./messages.ts";
import { packDevices, unpackDevices } from "./pack.ts";
import { pointLike } from "./test-point.ts";

const point = (index: number, unit: string): HostPoint =>
  pointLike({ name: `point-${index}`, index, address: { register: index }, unit });

const device = (index: number, unit: string): HostDevice => ({
  id: `device-${index}`,
  index,
  settings: { unit: index },
  identify: undefined,
  firmwareRange: "*",
  records: [],
  silenceMs: 0,
  personalData: { how: "drop" as const },
  pollMs: { fast: 1, normal: 2, slow: 3 },
  points: [point(0, unit), point(1, unit)],
  firstIndex: 10 * index,
});

it("devices arrive as they were sent, and equal ones share their points", () => {
  const sent = [device(1, "V"), device(2, "A"), device(3, "V")];
  const arrived = unpackDevices(packDevices(sent));
  expect(arrived).toEqual(sent);
  expect(arrived[2]?.points).toBe(arrived[0]?.points);
  expect(arrived[1]?.points).not.toBe(arrived[0]?.points);
});
