import { beforeAll, describe, expect, it } from "vitest";
import { Policy } from "../commands/policy.ts";
import { loadSite } from "./config.ts";
import { head, heads, meter, profileFolder, write } from "./testing.ts";

/** What a site file may say of commands, and what it is told where that is wrong. */

beforeAll(() => {
  const points = `points:
  dim: { address: { table: holding, register: 0 }, unit: "%", write: { limits: [0, 100], step: 5 } }
  lamp: { address: { table: coil, register: 1 }, kind: boolean, write: {} }
  energy: { address: { table: input, register: 6 }, unit: kW.h }
`;
  write("profiles/acme/lamp.yaml", meter.replace(/points:[^]*/, points));
  const signals = points
    .replace("dim:", "plan:")
    .replace("lamp:", "signalState.group1:")
    .replace("energy:", "flashing:");
  write(
    "profiles/acme/signals.yaml",
    meter.replace(/points:[^]*/, signals).replace("energy-meter", "signal-controller"),
  );
});

const key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const commands = `commands:
  issuers:
    - { id: ioc, key: "${key}", roles: [lights] }
  roles:
    lights: { devices: [light-01], points: [dim] }
`;
const device = (more: string, profile = "lamp") => `devices:
  - id: light-01
    driver: modbus
    profile: acme/${profile}
    transport: { type: tcp, host: 10.0.0.5 }
${more}`;
const open = "    write: { allow: [dim, lamp], limits: { dim: { min: 10, max: 90 } } }\n";
const sound = `${head}${commands}${device(open)}`;

describe("commands of a site file", () => {
  it("make a policy", async () => {
    const site = await loadSite(write("sound.yaml", sound), { profileFolder });
    expect(site.commands).toEqual({
      issuers: [{ id: "ioc", key, roles: ["lights"] }],
      roles: { lights: { devices: ["light-01"], points: ["dim"] } },
      ratePerMinute: 60,
      clock: "synced",
    });
    const policy = new Policy(site.commands, site.devices);
    expect(policy.point("light-01", "dim")).toMatchObject({ least: 10, most: 90, step: 5, stepFrom: 0 });
    expect(policy.point("light-01", "energy")).toBeUndefined();
    expect(policy.allows("lights", "light-01", "dim")).toBe(true);
    expect(policy.allows("lights", "light-01", "lamp")).toBe(false);
  });

  it("let nobody in where there are none", async () => {
    const site = await loadSite(write("none.yaml", head), { profileFolder });
    expect(site.commands).toEqual({ issuers: [], roles: {}, ratePerMinute: 60, clock: "synced" });
  });

  const wrong: [name: string, text: string, expected: string][] = [
    [
      "a misspelt key",
      sound.replace("roles:\n", "rolls:\n"),
      'bad.yaml:6:3  unknown key "rolls" - did you mean "roles"?',
    ],
    [
      "a key that is none",
      sound.replace(key, key.slice(4)),
      'bad.yaml:5:23  expected 32 bytes in base64: a raw Ed25519 public key, found "AYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="',
    ],
    [
      "whoever is on site",
      sound.replace("id: ioc", "id: local"),
      'bad.yaml:5:13  "local" is whoever is on site: choose another name',
    ],
    [
      "a role that is not there",
      sound.replace("[lights]", "[light]"),
      'bad.yaml:5:79  there is no role "light" - did you mean "lights"?',
    ],
    [
      "a device that is not there",
      sound.replace("[light-01]", "[light-02]"),
      'bad.yaml:7:25  there is no device "light-02" - did you mean "light-01"?',
    ],
    [
      "a point that its devices keep shut",
      sound.replace("[dim] }", "[dmi] }"),
      'bad.yaml:7:45  no device of this role has "dmi" in write.allow - did you mean "dim"?',
    ],
    [
      "two issuers of one name",
      sound.replace("  roles:\n", `    - { id: ioc, key: "${key}", roles: [lights] }\n  roles:\n`),
      'bad.yaml:6:13  there are two issuers "ioc"',
    ],
    [
      "a rate of none",
      sound.replace("  roles:\n", "  ratePerMinute: 0\n  roles:\n"),
      "bad.yaml:6:18  expected a whole number from 1 to 600, found 0",
    ],
    [
      "a point that is not there",
      sound.replace("[dim, lamp]", "[dim, lmap]"),
      'bad.yaml:13:27  this device has no point "lmap" - did you mean "lamp"?',
    ],
    [
      "a point that the profile does not offer",
      sound.replace("[dim, lamp]", "[dim, energy]"),
      'bad.yaml:13:27  the profile does not offer "energy" for writing',
    ],
    [
      "limits of a point that is not open",
      sound.replace("[dim, lamp]", "[lamp]"),
      'bad.yaml:13:39  "dim" is not in write.allow',
    ],
    [
      "limits of a switch",
      sound.replace("limits: { dim", "limits: { lamp"),
      'bad.yaml:13:50  "lamp" is no number and has no limits',
    ],
    [
      "wider limits than the profile's",
      sound.replace("max: 90", "max: 101"),
      'bad.yaml:13:65  the profile lets "dim" be from 0 to 100',
    ],
    [
      "limits the wrong way round",
      sound.replace("max: 90", "max: 5"),
      "bad.yaml:13:65  max lies below min (found 5)",
    ],
    [
      "a signal phase",
      head + device("    write: { allow: [plan, signalState.group1] }\n", "signals"),
      'bad.yaml:8:28  "signalState.group1" of a signal controller is never driven: only plan, mode (or plan.requested, mode.requested) and lampTest are asked for',
    ],
  ];
  it.each(wrong)("say what is wrong: %s", async (_, text, expected) => {
    expect(await heads(text)).toEqual([expected]);
  });
});
