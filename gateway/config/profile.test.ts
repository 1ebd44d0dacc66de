import { describe, expect, it, vi } from "vitest";
import { loadProfile } from "../profiles/profiles.ts";
import { meter, profileFolder, write } from "./testing.ts";

describe("a profile", () => {
  it("reads no file, secret or variable of the box", () => {
    vi.stubEnv("KERB_TEST_SECRET", "Hunter-22");
    write("host.txt", "Hunter-23");
    const text = meter
      .replace("vendor: Acme", 'vendor: "${env:KERB_TEST_SECRET}"')
      .replace("model: Meter", 'model: "${file:../../host.txt}"');
    write("profiles/acme/curious.yaml", text);
    expect(loadProfile("acme/curious", profileFolder)).toMatchObject({
      vendor: "${env:KERB_TEST_SECRET}",
      model: "${file:../../host.txt}",
    });
  });

  it("says of each sentinel where it was read, and how sure that is", () => {
    const sentinels =
      "[{ raw: -1, code: a, reason: b }, { raw: -2, code: c, reason: d, certainty: to-verify }]";
    write("profiles/acme/doubtful.yaml", meter.replace("unit: W", `unit: W, sentinels: ${sentinels}`));
    const power = loadProfile("acme/doubtful", profileFolder).points.find(({ name }) => name === "power");
    expect(power?.sentinels.map(({ certainty }) => certainty)).toEqual(["seen", "to-verify"]);
  });
});
