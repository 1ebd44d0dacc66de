import { expect, test } from "vitest";
import { DeviceError } from "../../gateway/driver.ts";
import { onItsWay } from "./errors.ts";

test("a session that another client takes over says nothing of what was on its way", () => {
  expect(onItsWay(new DeviceError("busy", "another client uses our id"))).toMatchObject({
    code: "hung-up",
    message: "another client uses our id",
  });
  const silent = new DeviceError("silent", "no answer");
  expect(onItsWay(silent)).toBe(silent);
});
