import { expect, test } from "vitest";
import { DeviceError } from "../../gateway/driver.ts";
import { codeOfWrite, writeError } from "./failures.ts";

test.each([
  ["BadNotWritable", "rejected"],
  ["BadOutOfRange", "rejected"],
  ["BadUserAccessDenied", "denied"],
  ["BadNotSupported", "unsupported"],
  ["BadTimeout", "silent"],
  ["BadDeviceFailure", "garbage"],
  ["BadCommunicationError", "garbage"],
  ["BadInternalError", "garbage"],
  ["BadResourceUnavailable", "garbage"],
  ["no result", "garbage"],
])("of a write %s is %s", (status, code) => {
  expect(codeOfWrite(status)).toBe(code);
});

const refused = (status: string) => writeError(new DeviceError("rejected", `here: a request: ${status}`));

test("a refused service leaves open what became of the write, unless its reason says so", () => {
  expect(refused("BadUnexpectedError")).toMatchObject({ code: "garbage" });
  expect(refused("BadTooManyOperations")).toMatchObject({ code: "rejected" });
  const lost = new DeviceError("hung-up", "here: the server closed the connection");
  expect(writeError(lost)).toBe(lost);
});
