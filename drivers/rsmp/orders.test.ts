import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { codeOf, patient, type Message } from "./testing.ts";
import { together, Heard, at, now, point } from "./test-site.ts";
import { address as addressSchema } from "./settings.ts";

/** Alarms and commands, with a site played by hand. */

const alarm = (more: Message): Message => ({
  cId: "SG1",
  aCId: "A0201",
  xACId: "",
  aSp: "Issue",
  ack: "notAcknowledged",
  aS: "Active",
  sS: "notSuspended",
  aTs: "2026-03-01T08:00:00.000Z",
  cat: "D",
  pri: "2",
  rvs: [{ n: "color", v: "red" }],
  ...more,
});

describe("alarms", () => {
  const records = [
    {
      name: "lampError",
      address: addressSchema.parse({ alarm: "A0201" }),
      fields: [
        point("component", { field: "component" }),
        point("active", { field: "active" }),
        point("acknowledged", { field: "acknowledged" }),
        point("suspended", { field: "suspended" }),
        point("event", { field: "event" }),
        point("priority", { field: "priority" }),
        point("color", { argument: "color" }),
      ],
    },
  ];
  test("are told with their phase: first as they are, then each event; buffered ones are of the past", async () => {
    const { site, connection } = await together();
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points: [], records, sink: heard, signal: stop.signal });
    for (const more of [
      { aTs: at(5) },
      // Told twice, as the specification has it for buffered events that are current: no news.
      { aTs: at(5) },
      { aTs: at(3), aS: "inActive" },
      { aTs: at(6), aSp: "Acknowledge", ack: "Acknowledged" },
      { aTs: at(7), aSp: "Suspend", ack: "Acknowledged", sS: "Suspended" },
      { aTs: at(8), aSp: "Suspend", ack: "Acknowledged" },
      { aTs: at(9), aS: "inActive", ack: "Acknowledged" },
      { aCId: "A0001", rvs: [] },
    ]) {
      expect((await site.verdict(site.say("Alarm", alarm(more))))["type"]).toBe("MessageAck");
    }
    expect(heard.records.map(({ about }) => [about?.phase, about?.past, about?.sourceTimeMs])).toEqual([
      ["initial", false, Date.parse(at(5))],
      ["occurred", true, Date.parse(at(3))],
      ["occurred", false, Date.parse(at(6))],
      ["occurred", false, Date.parse(at(7))],
      ["occurred", false, Date.parse(at(8))],
      ["occurred", false, Date.parse(at(9))],
    ]);
    expect(heard.records.map(({ answers }) => answers.slice(1, 5))).toEqual([
      [true, false, false, "Issue"],
      [false, false, false, "Issue"],
      [true, true, false, "Acknowledge"],
      [true, true, true, "Suspend"],
      [true, true, false, "Suspend"],
      [false, true, false, "Issue"],
    ]);
    expect(heard.records[0]!.answers).toEqual(["SG1", true, false, false, "Issue", 2, "red"]);
    stop.abort();
    await done;
  });

  test.each([
    ["3.1.3", false],
    ["3.1.4", true],
  ])("that end with the time of their beginning have ended up to 3.1.3 (%s)", async (version, past) => {
    const { site, connection } = await together({}, [version]);
    const heard = new Heard();
    const stop = new AbortController();
    const done = connection.subscribe!({ points: [], records, sink: heard, signal: stop.signal });
    for (const more of [
      { aTs: at(5) },
      { aTs: at(6), aSp: "Acknowledge", ack: "Acknowledged" },
      { aTs: at(5), aS: "inActive", ack: "Acknowledged" },
    ])
      await site.verdict(site.say("Alarm", alarm(more)));
    expect(heard.records).toHaveLength(3);
    expect(heard.records[2]).toMatchObject({ about: { past } });
    expect(heard.records[2]?.answers[1]).toBe(false);
    stop.abort();
    await done;
  });

  test("can be acknowledged, suspended, resumed and asked for", async () => {
    const { site, connection } = await together();
    for (const alarmCommand of ["Acknowledge", "Suspend", "Resume", "Request"]) {
      const command = point("c", { alarmCommand, alarm: "A0201", component: "SG1" });
      const writing = connection.write!(command, true, patient());
      const message = await site.next("Alarm");
      expect(message).toMatchObject({ cId: "SG1", aCId: "A0201", aSp: alarmCommand });
      expect("aTs" in message).toBe(alarmCommand === "Acknowledge");
      site.acknowledge(message);
      await writing;
    }
    const refused = codeOf(
      connection.write!(point("c", { alarmCommand: "Suspend", alarm: "A0999" }), true, patient()),
    );
    site.acknowledge(await site.next("Alarm"), "unknown alarm");
    expect(await refused).toBe("rejected");
  });

  test("can be asked for only since 3.1.5", async () => {
    const { connection } = await together({}, ["3.1.4"]);
    const command = point("c", { alarmCommand: "Request", alarm: "A0201" });
    expect(await codeOf(connection.write!(command, true, patient()))).toBe("unsupported");
  });
});

const position = (name: string, more: Record<string, string> = {}) =>
  point("mode", { command: "M0001", do: "setValue", name, arguments: { intersection: "0", ...more } });

describe("commands", () => {
  const plan = point("plan", {
    command: "M0002",
    do: "setPlan",
    name: "timeplan",
    arguments: { status: "True", securityCode: { securityCode: "level2" } },
  });
  const settings = { commands: ["M0001", "M0002"], securityCodes: { level2: "2468" } };

  test("carry all arguments and the security code, and are done when the site says so", async () => {
    const { site, connection } = await together(settings);
    const writing = connection.write!(plan, 3, patient());
    const request = await site.next("CommandRequest");
    expect(request).toMatchObject({
      cId: "TC1",
      arg: [
        { cCI: "M0002", n: "timeplan", cO: "setPlan", v: "3" },
        { cCI: "M0002", n: "status", cO: "setPlan", v: "True" },
        { cCI: "M0002", n: "securityCode", cO: "setPlan", v: "2468" },
      ],
    });
    site.acknowledge(request);
    const rvs = [{ cCI: "M0002", n: "timeplan", v: "3", age: "recent" }];
    site.say("CommandResponse", { cId: "TC1", cTS: now(), rvs });
    await writing;
  });

  test.each([
    ["another value", { v: "1", age: "recent" }, /timeplan is 1, not 3/, "garbage"],
    ["an old value", { v: "3", age: "old" }, /timeplan is old/, "garbage"],
    ["another name", { n: "status", v: "True", age: "recent" }, /leaves out timeplan/, "garbage"],
    ["an unknown component", { v: null, age: "undefined" }, /component does not exist/, "rejected"],
    ["an unknown command", { v: null, age: "unknown" }, /does not know the command/, "rejected"],
  ])("that the site answers with %s are not done", async (_, value, reason, code) => {
    const { site, connection } = await together(settings);
    const writing = connection.write!(plan, 3, patient());
    const checked = expect(writing).rejects.toThrow(reason);
    site.acknowledge(await site.next("CommandRequest"));
    site.say("CommandResponse", { cId: "TC1", cTS: now(), rvs: [{ cCI: "M0002", n: "timeplan", ...value }] });
    await checked;
    expect(await codeOf(writing)).toBe(code);
  });

  test("that the site does not acknowledge were rejected, with its reason", async () => {
    const { site, connection } = await together(settings);
    const writing = connection.write!(plan, 3, patient());
    site.acknowledge(await site.next("CommandRequest"), "security code is wrong");
    await expect(writing).rejects.toThrow(/security code is wrong/);
  });

  test("that are not on the list, or lack their secret, are not sent", async () => {
    const { site, connection } = await together({ commands: ["M0002"] });
    const flash = point("mode", { command: "M0001", do: "setValue", name: "status" });
    expect(await codeOf(connection.write!(flash, "YellowFlash", patient()))).toBe("unsupported");
    expect(await codeOf(connection.write!(plan, 3, patient()))).toBe("denied");
    expect(
      await codeOf(connection.write!(point("p", { status: "S0001", name: "stage" }), 3, patient())),
    ).toBe("unsupported");
    await sleep(50);
    expect(site.received).toEqual([]);
  });

  test("set the positions of the exchange list, but never leave a junction dark", async () => {
    const { site, connection } = await together(settings);
    const dark: [ReturnType<typeof position>, string | number][] = [
      [position("status"), "Dark"],
      [position("status"), "dark"],
      [position("timeout", { status: "Dark" }), 5],
      [position("timeout"), 5],
    ];
    for (const [address, value] of dark)
      expect(await codeOf(connection.write!(address, value, patient()))).toBe("unsupported");
    await sleep(20);
    expect(site.received).toEqual([]);
    for (const value of ["YellowFlash", "NormalControl"]) {
      const writing = connection.write!(position("status"), value, patient());
      site.acknowledge(await site.next("CommandRequest"));
      const rvs = [{ cCI: "M0001", n: "status", v: value, age: "recent" }];
      site.say("CommandResponse", { cId: "TC1", cTS: now(), rvs });
      await writing;
    }
  });

  const driving = ["M0005", "M0006", "M0008", "M0010", "M0011", "M0012", "M0013", "M0019", "M0020", "M0021"];
  const tables = ["M0004", "M0014", "M0015", "M0016", "M0017", "M0018", "M0023"];
  test.each([...driving, "M0022", ...tables, "M0103", "M9999"])(
    "that may drive a phase have no address, and are not sent whatever the settings say: %s",
    async (command) => {
      expect(addressSchema.safeParse({ command, do: "setStart", name: "status" }).success).toBe(false);
      const { site, connection } = await together({ commands: [command] });
      const given = { name: "phase", address: { command, do: "setStart", name: "status", arguments: {} } };
      expect(await codeOf(connection.write!(given, "True", patient()))).toBe("unsupported");
      await sleep(20);
      expect(site.received).toEqual([]);
    },
  );
});
