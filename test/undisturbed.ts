import { expect } from "vitest";
import type { GatewayStatus } from "../gateway/supervisor.ts";

export const report = ({ devices }: GatewayStatus, id: string) => devices.find((device) => device.id === id);

/** The device went on as if nothing had happened: on its connection, polled, and not one poll was missed. */
export function expectUndisturbed(before: GatewayStatus, after: GatewayStatus, id: string): void {
  const [was, is] = [report(before, id), report(after, id)];
  const { sinceMs, failed, missed, answered = Infinity } = was ?? {};
  expect(is).toMatchObject({ state: "online", sinceMs, failed, missed });
  expect(is?.answered).toBeGreaterThan(answered);
}
