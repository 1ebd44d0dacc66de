import { expect } from "vitest";
import type { GatewayStatus } from "../gateway/supervisor.ts";

/** Of polls of a fraction of a second; a busy machine alone costs some. */
const missedMax = 10;

export const report = ({ devices }: GatewayStatus, id: string) => devices.find((device) => device.id === id);

/** The device went on as if nothing had happened: on its connection, and it was polled. */
export function expectUndisturbed(before: GatewayStatus, after: GatewayStatus, id: string): void {
  const [was, is] = [report(before, id), report(after, id)];
  const { sinceMs, failed, missed = 0, answered = Infinity } = was ?? {};
  expect(is).toMatchObject({ state: "online", sinceMs, failed });
  expect(is?.missed).toBeLessThan(missed + missedMax);
  expect(is?.answered).toBeGreaterThan(answered);
}
