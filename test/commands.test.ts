import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CommandState } from "../gateway/commands/state.ts";
import { receiverApi } from "../gateway/receiver/http.ts";
import type { Commander, Followed } from "../gateway/receiver/commands/commander.ts";
import { issuerKeyOf, makeCommand, newIssuerKey } from "../gateway/receiver/commands/make.ts";
import type { CommandRow } from "../gateway/receiver/commands/record.ts";
import { BrokerLink } from "../gateway/receiver/mqtt.ts";
import { Receiver } from "../gateway/receiver/receiver.ts";
import { mosquittoPath, TestClient } from "../gateway/receiver/testing.ts";
import { city, CommandRig, device, gatewayId } from "./command-rig.ts";

if (mosquittoPath === undefined) console.log("skipped: mosquitto is not installed");

const stages = ({ states }: Followed): string[] => states.map(({ state }) => state);
const dimWrite = (percent: number): string =>
  `function 6 holding 0 = ${percent.toString(16).padStart(4, "0")}`;
const impostor = issuerKeyOf(newIssuerKey().pem);

function lines(out: string) {
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { kind: string; ok: boolean; data: Record<string, unknown> });
}

/** A gateway of its own for each file of trials, told to write nothing in between. */
function rigged(options: Parameters<typeof CommandRig.start>[0] = {}) {
  const made = {} as { rig: CommandRig; commander: Commander; written: () => string[] };
  let before = 0;
  beforeAll(async () => {
    made.rig = await CommandRig.start(options);
    made.commander = made.rig.commander();
    made.written = () => made.rig.written.slice(before);
  }, 60_000);
  beforeEach(() => {
    before = made.rig.written.length;
  });
  afterAll(() => made.rig.close());
  return made;
}

describe.skipIf(mosquittoPath === undefined)("a command, from the IOC to the device and back", () => {
  const on = rigged();
  const dim = (value: number, more = {}) => on.rig.wanted({ dim: value }, more);

  it("is executed once, read back, answered, and in the IOC's custody as an event", async () => {
    const { rig, commander } = on;
    const receiver = new Receiver({ database: join(rig.folder, "receiver.db"), ackIntervalMs: 200 });
    const link = new BrokerLink(receiver, { broker: rig.broker.url, city, name: "ioc", retryFirstMs: 50 });
    link.open();
    await expect.poll(() => link.connected).toBe(true);
    const followed = await commander.execute(dim(70, { reason: "nghiệm thu" }), rig.key);
    expect(stages(followed)).toEqual(["accepted", "running", "done"]);
    expect(followed.last).toMatchObject({ state: "done", before: { dim: 40 }, readBack: { dim: 70 } });
    expect(Math.abs((followed.last?.writtenMs ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(on.written()).toEqual([dimWrite(70)]);
    const id = followed.last?.id ?? "";
    const find = async () => {
      const answer = await receiverApi(receiver).request(`/commands?gw=${gatewayId}`);
      if (answer.status !== 200) return undefined;
      const { commands } = (await answer.json()) as { commands: CommandRow[] };
      return commands.find((one) => one.id === id);
    };
    await expect.poll(async () => (await find())?.certain).toBe(true);
    const row = await find();
    expect(row?.states.map(({ state, by }) => [state.state, by])).toEqual([
      ["accepted", ["answer", "event"]],
      ["running", ["answer", "event"]],
      ["done", ["answer", "event"]],
    ]);
    const { events } = receiver.events(gatewayId, { epoch: 0, after: 0 }, 1000);
    const results = events.filter(({ kind }) => kind === "command-result");
    expect(results.map(({ device: of, data }) => [of, data?.["state"]])).toEqual([
      [device, "accepted"],
      [device, "running"],
      [device, "done"],
    ]);
    await link.close();
    receiver.close();
  });

  it("is answered from memory when it comes again, and not executed again", async () => {
    const { rig, commander } = on;
    const command = makeCommand(dim(55), rig.key);
    expect((await commander.follow(command)).state).toBe("done");
    const again = await commander.follow(command);
    expect(again.last).toMatchObject({ state: "done", replay: true, readBack: { dim: 55 } });
    const other = makeCommand(dim(60, { id: command.id }), rig.key);
    expect((await commander.follow(other)).last?.code).toBe("KERB-CMD-DUPLICATE");
    expect(on.written()).toEqual([dimWrite(55)]);
  });

  it("is refused with its code, and nothing is written", async () => {
    const { rig, commander } = on;
    const refused: [string, Promise<Followed>][] = [
      ["KERB-CMD-SIGNATURE", commander.execute(dim(1, { lifeMs: 1000 }), impostor)],
      ["KERB-CMD-ISSUER", commander.execute(dim(5, { by: "mallory", lifeMs: 1000 }), rig.key)],
      ["KERB-CMD-ROLE", commander.execute(dim(5, { role: "traffic" }), rig.key)],
      ["KERB-CMD-LIMIT", commander.execute(dim(105), rig.key)],
      ["KERB-CMD-STEP", commander.execute(dim(7), rig.key)],
      ["KERB-CMD-VALUE", commander.execute(rig.wanted({ dim: "5" }), rig.key)],
      ["KERB-CMD-POINT", commander.execute(rig.wanted({ "native.energy": 5 }), rig.key)],
      ["KERB-CMD-ARM-NEEDED", commander.execute(rig.wanted({ breaker: false }), rig.key)],
    ];
    for (const [code, following] of refused) {
      const { state, last } = await following;
      expect([state, last?.code]).toEqual(["rejected", code]);
    }
    expect(on.written()).toEqual([]);
  });

  it("is refused where the broker had kept it", async () => {
    const { rig } = on;
    const client = await TestClient.connect(rig.broker.url, [`${city}/rsp/#`]);
    const command = makeCommand(dim(5), rig.key);
    const responseTopic = `${city}/rsp/v1/${gatewayId}/desk-7`;
    const topic = `${city}/cmd/v1/${gatewayId}/${device}`;
    await client.publish(topic, Buffer.from(JSON.stringify(command)), {
      retain: true,
      properties: { responseTopic },
    });
    const answer = await client.next<CommandState>(responseTopic, () => true);
    expect(answer).toMatchObject({ state: "rejected", code: "KERB-CMD-RETAINED" });
    await client.publish(topic, Buffer.alloc(0), { retain: true });
    await client.end();
    expect(on.written()).toEqual([]);
  });

  it("is not executed while the interlock forbids it", async () => {
    const { rig, commander } = on;
    rig.simulator.set("door", 1);
    const { state, last } = await commander.execute(rig.wanted({ lamp: false }), rig.key);
    expect([state, last?.code]).toEqual(["failed", "KERB-CMD-INTERLOCK"]);
    rig.simulator.set("door", 0);
    expect(on.written()).toEqual([]);
  });

  it("takes two steps for a safety point, and a token is good once", async () => {
    const { rig, commander } = on;
    const wanted = rig.wanted({ breaker: false });
    const { state, states } = await commander.armAndCommit(wanted, rig.key);
    expect([state, states.at(-1)?.readBack]).toEqual(["done", { breaker: false }]);
    expect(on.written()).toEqual(["function 5 coil 5 = 0000"]);
    const armed = await commander.execute({ ...wanted, mode: "arm" }, rig.key);
    const arm = armed.last?.arm ?? "";
    const commit = { ...wanted, mode: "commit" as const, arm };
    expect((await commander.execute(commit, rig.key)).state).toBe("done");
    expect((await commander.execute(commit, rig.key)).last?.code).toBe("KERB-CMD-ARM-USED");
    expect(on.written()).toHaveLength(2);
  });

  it("goes back by itself when its lease is over", async () => {
    const { rig, commander } = on;
    await commander.execute(dim(30), rig.key);
    const { state, last } = await commander.execute(dim(80, { leaseMs: 700 }), rig.key);
    expect([state, last?.leaseMs]).toEqual(["done", 700]);
    await expect.poll(on.written).toEqual([dimWrite(30), dimWrite(80), dimWrite(30)]);
  });
});

describe.skipIf(mosquittoPath === undefined)("a command to a gateway that was away", () => {
  const on = rigged();

  it("is executed when it is born again, once, and never after its time", async () => {
    const { rig, commander } = on;
    await rig.stop();
    const late = commander.execute(rig.wanted({ dim: 5 }, { lifeMs: 300 }), rig.key, { graceMs: 4000 });
    const inTime = commander.execute(rig.wanted({ dim: 75 }, { lifeMs: 60_000 }), rig.key);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await rig.run();
    expect(await inTime).toMatchObject({ state: "done", last: { readBack: { dim: 75 } } });
    expect(on.written()).toEqual([dimWrite(75)]);
    expect(["rejected", "unanswered"]).toContain((await late).state);
    expect(on.written()).toEqual([dimWrite(75)]);
  }, 60_000);

  it("is sent again when it is born, where the broker has forgotten it", async () => {
    const { rig, commander } = on;
    await rig.stop();
    const following = commander.execute(rig.wanted({ dim: 95 }, { lifeMs: 60_000 }), rig.key);
    // Without a file of its own it keeps no session.
    await rig.broker.kill();
    await rig.broker.restart();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await rig.run();
    const { state, sent } = await following;
    expect(state).toBe("done");
    expect(sent).toBeGreaterThan(1);
    expect(on.written()).toEqual([dimWrite(95)]);
  }, 60_000);

  it("is known again after a restart: the same bytes are not executed twice", async () => {
    const { rig, commander } = on;
    const command = makeCommand(rig.wanted({ dim: 65 }, { lifeMs: 60_000 }), rig.key);
    expect((await commander.follow(command)).state).toBe("done");
    await rig.stop();
    await rig.run();
    const again = await commander.follow(command);
    expect(again.last).toMatchObject({ state: "done", replay: true });
    expect(on.written()).toEqual([dimWrite(65)]);
  }, 60_000);

  it("gets its answer also when the broker was gone in between", async () => {
    const { rig, commander } = on;
    await rig.broker.kill();
    const following = commander.execute(rig.wanted({ dim: 85 }, { lifeMs: 60_000 }), rig.key);
    await rig.broker.restart();
    expect(await following).toMatchObject({ state: "done", last: { readBack: { dim: 85 } } });
    expect(on.written()).toEqual([dimWrite(85)]);
  }, 60_000);
});

describe.skipIf(mosquittoPath === undefined)("over MQTT 3.1.1", () => {
  const on = rigged({ protocol: "3.1.1" });

  it("a command is executed and answered, and dies with its time", async () => {
    const { rig } = on;
    const commander = rig.commander({ protocol: "3.1.1" });
    expect(stages(await commander.execute(rig.wanted({ dim: 45 }), rig.key)).at(-1)).toBe("done");
    const old = makeCommand(rig.wanted({ dim: 5 }), rig.key, Date.now() - 31_000);
    const client = await TestClient.connect(rig.broker.url, [`${city}/rsp/#`]);
    await client.publish(`${city}/cmd/v1/${gatewayId}/${device}`, Buffer.from(JSON.stringify(old)));
    const answer = await client.next<CommandState>(`${city}/rsp/v1/${gatewayId}/${old.id}`, () => true);
    expect(answer).toMatchObject({ state: "rejected", code: "KERB-CMD-EXPIRED" });
    await client.end();
    expect(on.written()).toEqual([dimWrite(45)]);
  });
});

describe.skipIf(mosquittoPath === undefined)("the command line", () => {
  const on = rigged();
  const command = (...more: string[]) => {
    const { rig } = on;
    const who = ["--key", rig.keyFile, "--issuer", "an.nguyen@ioc", "--role", "lights"];
    const where = ["--broker", rig.broker.url, "--city", city];
    return rig.kerb("command", gatewayId, device, ...more, ...who, ...where);
  };
  const write = (...more: string[]) => on.rig.kerb("write", device, ...more, "--site", on.rig.file);

  it("kerb command follows to the end, and its exit code says which", async () => {
    const done = await command("dim=20", "--reason", "nghiệm thu", "--json");
    expect(done.code).toBe(0);
    expect(lines(done.out).map(({ kind, data }) => [kind, data["state"]])).toEqual([
      ["command-state", "accepted"],
      ["command-state", "running"],
      ["command-state", "done"],
      ["command", "done"],
    ]);
    const refused = await command("dim=105", "--lang", "vi");
    expect([refused.code, refused.err]).toEqual([7, expect.stringContaining("KERB-CMD-LIMIT")]);
    const two = await command("breaker=true", "--two-steps");
    expect([two.code, two.out]).toEqual([0, expect.stringContaining("read back breaker true")]);
    expect((await command("dim")).code).toBe(2);
    expect(on.written()).toEqual([dimWrite(20), "function 5 coil 5 = ff00"]);
  }, 60_000);

  it("kerb write shows what stands there, writes, and waits for the return", async () => {
    on.rig.simulator.set("dim", 40);
    const done = await write("dim=50", "--for", "600ms", "--reason", "nghiệm thu", "--yes");
    expect(done.err).toMatch(/Now +40 % \(good/);
    expect(done.err).toMatch(/Limits +0 % … 100 %, step 5/);
    expect(done.err).toContain("goes back to 40 %");
    expect(done.out).toMatch(/done .*before dim 40 .*read back dim 50/);
    expect(done.out).toMatch(/is back at .*read back dim 40/);
    expect(done.err).toContain("the IOC sees it as local maintenance");
    expect(done.code).toBe(0);
    expect(on.written()).toEqual([dimWrite(50), dimWrite(40)]);
  }, 60_000);

  it("kerb write asks first, and takes on and off for a boolean", async () => {
    const unasked = await write("lamp=off");
    expect([unasked.code, unasked.err]).toEqual([7, expect.stringContaining("--yes")]);
    expect(on.written()).toEqual([]);
    const off = await write("lamp=off", "--yes", "--json");
    expect(off.code).toBe(0);
    expect(lines(off.out).at(-1)).toMatchObject({
      kind: "write",
      data: { state: "done", source: "local", readBack: { lamp: false } },
    });
    const steps = await write("breaker=off", "--yes");
    expect([steps.code, steps.err]).toEqual([0, expect.stringContaining("safety point")]);
    expect(on.written()).toEqual(["function 5 coil 4 = 0000", "function 5 coil 5 = 0000"]);
    expect((await write("native.energy=1", "--yes")).code).toBe(7);
  }, 60_000);

  it("kerb audit verifies, shows, and finds a line that was changed", async () => {
    const state = join(on.rig.folder, "state");
    await command("dim=25");
    const whole = await on.rig.kerb("audit", "verify", "--state", state);
    expect([whole.code, whole.out]).toEqual([0, expect.stringContaining("every hash is right")]);
    const shown = await on.rig.kerb("audit", "show", "--site", on.rig.file, "--last", "1000");
    expect(shown.out).toMatch(/executing .*light-01 .*"dim":25/);
    // Who has signed is proved; whoever came by the box's own socket has only said who he is.
    expect(shown.out).toMatch(/accepted .* {2}\S+@local \(claimed\)/);
    expect(shown.out).not.toMatch(/@ioc \(claimed\)/);
    const vietnamese = await on.rig.kerb(
      "audit",
      "show",
      "--site",
      on.rig.file,
      "--last",
      "1000",
      "--lang",
      "vi",
    );
    expect(vietnamese.out).toMatch(/accepted .* {2}\S+@local \(tự khai\)/);
    await on.rig.stop("SIGTERM");
    const folder = join(state, "commands");
    const [file = ""] = readdirSync(folder).filter((name) => name.startsWith("journal-"));
    const text = readFileSync(join(folder, file), "utf8");
    // Only what the outbox has committed counts as told.
    expect(text).toMatch(/"ev":"told","id":"[0-9A-Z]{26}"/);
    writeFileSync(join(folder, file), text.replace("an.nguyen@ioc", "xx.nguyen@ioc"));
    const changed = await on.rig.kerb("audit", "verify", "--state", state, "--json");
    expect(changed.code).toBe(6);
    expect(lines(changed.out)[0]?.data["break"]).toMatchObject({ what: "changed" });
    expect((await on.rig.kerb("audit", "verify", "--state", on.rig.folder)).code).toBe(3);
  }, 60_000);

  it("kerb command keygen makes a key for this user alone, and never writes over one", async () => {
    const file = join(on.rig.folder, "new.pem");
    const made = await on.rig.kerb("command", "keygen", file);
    expect([made.code, made.out.trim()]).toEqual([0, expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/)]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const pem = readFileSync(file, "utf8");
    expect((await on.rig.kerb("command", "keygen", file)).code).toBe(2);
    expect(readFileSync(file, "utf8")).toBe(pem);
  });
});
