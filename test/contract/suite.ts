import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { listProfiles, loadProfile } from "../../gateway/profiles/profiles.ts";
import { faults, type Fault } from "../../simulators/simulator.ts";
import { checkBrowse } from "./browse.ts";
import {
  codeOf,
  leastOf,
  loadSubject,
  openDescriptors,
  orCode,
  outcomeOf,
  patient,
  profileIdentity,
  Rig,
  runningTimers,
  settlesAt,
  timed,
  type Outcomes,
  type ReadTable,
  type RigOptions,
  type Subject,
  type Transport,
} from "./contract.ts";
import { checkWrite } from "./write.ts";
import { isProving, proofComplaint, writeProof, type Score } from "./proof.ts";
import { checkPush, type Check, type Open } from "./push.ts";

/**
 * The contract suite: the rules at the head of `gateway/driver.ts`, over every driver, each of its transports and
 * every fault of its simulator. The stage is computed here and nowhere claimed: `npm run prove` writes what was found
 * into `drivers/<name>/proof.json`, and without it the suite fails where that file says something else.
 */

/** Short enough to lose many answers, long enough for a good one on a loaded machine. */
const shortMs = 300;
/** A call that waits this long for an answer has not given up by itself. */
const endlessMs = 4000;
/** Rule 2 says 50 ms; the rest is for the machine. */
const abortMs = 200;

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.close();
});

async function openRig(subject: Subject, transport: Transport, options: RigOptions = {}): Promise<Rig> {
  const rig = await Rig.open(subject, transport, options);
  rigs.push(rig);
  return rig;
}

const both = (...codes: string[]): Outcomes => ({ connected: codes, fresh: codes });

function outcomesOf(fault: Fault, { hasListener }: Transport, { outcomes = {} }: ReadTable): Outcomes {
  const isGone = { connected: ["hung-up", "refused"], fresh: ["refused"] };
  const table: Record<Fault, Outcomes> = {
    silent: both("silent"),
    // Where there is no listener to close, each request is answered with an error of the protocol.
    refuse: hasListener ? isGone : both("bad", "rejected"),
    hangUp: hasListener ? both("hung-up") : both("silent"),
    garbage: both("garbage"),
    slow: both("silent"),
    // One answer is lost; what a read asks after it may be answered.
    late: both("silent", "mixed"),
    // On a wire the later requests of a read may find it back.
    restart: hasListener ? isGone : both("silent", "mixed"),
    clockWrong: both("good"),
  };
  return outcomes[fault] ?? table[fault];
}

/** Declares the tests of one driver; `test/contract/<driver>.test.ts` calls it. */
export async function contractSuite(name: string): Promise<void> {
  const subject = await loadSubject(name);
  describe(name, () => checkAll(subject));
}

function checkAll(subject: Subject): void {
  const score: Score = { planned: 0, tried: 0, passed: 0, skipped: [] };

  afterAll(() => {
    const { planned, passed, skipped } = score;
    const stage = planned > 0 && passed === planned ? "simulated" : "unproven";
    const why = skipped.length === 0 ? "" : ` (${skipped.join("; ")})`;
    console.log(`${subject.name}: ${stage}, ${passed} of ${planned}${why}`);
  });

  describe.each(subject.table.transports)("$name", (transport) => {
    const { missing } = transport;
    if (missing !== undefined) {
      score.skipped.push(`${transport.name}: ${missing}`);
      console.warn(`skipped: ${subject.name} on ${transport.name}: ${missing}`);
    }
    /** One rule of the contract; counts for the stage. */
    const check = (name: string, body: () => Promise<void>): void => {
      score.planned++;
      if (missing !== undefined) score.tried++;
      test.skipIf(missing !== undefined)(name, { timeout: 60_000 }, async () => {
        score.tried++;
        await body();
        score.passed++;
      });
    };
    const open = (options?: RigOptions): Promise<Rig> => openRig(subject, transport, options);

    const { read, push } = subject.table;
    checkIdentify(subject, check, open);
    if (read !== undefined) {
      checkValues(subject, read, check, open);
      checkFaults(transport, read, check, open);
      checkLateAnswers(read, check, open);
      checkAborts(subject, check, open);
      checkClose(check, open);
      checkLeaks(read, check, open);
      checkNeighbours(transport, read, check, open);
    }
    if (push !== undefined) checkPush(subject, push, check, open);
    if (subject.table.write !== undefined) checkWrite(subject, subject.table.write, check, open);
    if (subject.table.browse === true) checkBrowse(subject, check, open);
  });

  test("the proof on file says what this run has found", (context) => {
    // With a filter only some of the checks are run, which proves nothing.
    if (score.tried < score.planned) context.skip();
    if (isProving) writeProof(subject.name, score);
    else expect(proofComplaint(subject.name, score)).toBeUndefined();
  });
}

function checkIdentify(subject: Subject, check: Check, open: Open): void {
  const { identify, identity } = subject.table;
  if (identify === undefined) {
    check("has no way to ask who a device is, and says so", async () => {
      const connection = await (await open()).connect();
      expect(await codeOf(connection.identify(patient()))).toBe("unsupported");
    });
    return;
  }
  check("asks a device who it is", async () => {
    const rig = await open({ settings: identify });
    const { vendor, model, firmware } = { ...profileIdentity, ...identity };
    expect(await (await rig.connect()).identify(patient())).toMatchObject({ vendor, model, firmware });
  });
}

function checkValues(subject: Subject, table: ReadTable, check: Check, open: Open): void {
  const profiles = listProfiles().filter((id) => {
    const { driver, points } = loadProfile(id);
    return driver === subject.name && points.some(({ poll }) => poll !== "push");
  });

  for (const profile of profiles) {
    check(`gives back every pinned value of ${profile}`, async () => {
      const rig = await open({ profile });
      const connection = await rig.connect();
      // Twice: the second read uses what the driver keeps of the first.
      rig.expectGood(await connection.read(rig.points, { signal: patient() }), rig.points);
      const { length: lines } = rig.log;
      rig.expectGood(await connection.read(rig.points, { signal: patient() }), rig.points);
      expect(rig.log).toHaveLength(lines);
      for (const { address } of rig.points) expect(subject.driver.describe(address)).toMatch(/\S/);
    });
  }

  check("follows a value that changes", async () => {
    const rig = await open();
    const [name] = table.alike;
    const { scale, offset } = rig.profile.points.find((point) => point.name === name)!;
    const connection = await rig.connect();
    const points = rig.pick(name);
    for (const raw of [7, 77, 777]) {
      rig.simulator().set(name, raw * scale + offset);
      const { answers } = await connection.read(points, { signal: patient() });
      const shown = answers.map((answer) => (typeof answer === "object" ? answer.value : answer));
      expect(shown.map(Number)).toEqual([raw]);
    }
  });

  check("gives the bytes of a value when asked, and only then", async () => {
    const rig = await open();
    const connection = await rig.connect();
    const points = rig.pick(...table.alike);
    const asked = await connection.read(points, { signal: patient(), raw: true });
    rig.expectGood(asked, points);
    for (const answer of asked.answers) {
      expect(typeof answer === "object" && answer.raw instanceof Uint8Array && answer.raw.length > 0).toBe(
        true,
      );
    }
    const plain = await connection.read(points, { signal: patient() });
    for (const answer of plain.answers) expect(typeof answer === "object" && "raw" in answer).toBe(false);
  });

  check("says that a device has no way to tell who it is, and reads it all the same", async () => {
    const rig = await open();
    const connection = await rig.connect();
    const identity = await orCode(connection.identify(patient()));
    if (typeof identity === "string") expect(identity).toBe("unsupported");
    else expect(identity.vendor).toBe((subject.table.identity ?? profileIdentity).vendor);
    rig.expectGood(await connection.read(rig.points, { signal: patient() }), rig.points);
  });

  check("answers a refused point with a code and the others with their values", async () => {
    const rig = await open();
    const refused = { name: "refused", address: subject.schemas.address.parse(table.refused) };
    const [first, ...others] = rig.points;
    const points = [first!, refused, ...others];
    const connection = await rig.connect();
    for (let round = 0; round < 2; round++) {
      const { answers } = await connection.read(points, { signal: patient() });
      expect(answers[1]).toMatchObject({
        value: null,
        status: "bad",
        code: expect.stringMatching(/^\S+$/) as string,
      });
      rig.expectGood({ answers: answers.toSpliced(1, 1) }, rig.points);
    }
    expect(await outcomeOf(rig, connection.read([refused], { signal: patient() }), [refused])).toBe("bad");
  });
}

function checkFaults(transport: Transport, table: ReadTable, check: Check, open: Open): void {
  for (const fault of faults) {
    const { connected, fresh } = outcomesOf(fault, transport, table);
    // Away for longer than one read takes, or the end of the read finds it back.
    const delayMs = (fault === "restart" ? 5 : 2) * shortMs;
    // A fault that loses nothing must not look like one on a busy machine.
    const timeoutMs = fault === "clockWrong" ? endlessMs : shortMs;
    const pointsOf = (rig: Rig) =>
      fault === "clockWrong" ? rig.points.filter(({ name }) => name !== table.clock) : rig.points;

    check(`${fault} while connected: ${connected.join(" or ")}, then good again`, async () => {
      const rig = await open({ timeoutMs });
      const connection = await rig.reads(rig.points);
      await rig.fault(fault, delayMs);
      const { result, tookMs } = await timed(
        outcomeOf(rig, connection.read(pointsOf(rig), { signal: patient() }), pointsOf(rig)),
      );
      expect(connected).toContain(result);
      expect(tookMs).toBeLessThan(5000);
      await connection.close();
      // A device that restarts comes back by itself.
      if (fault !== "restart") await rig.fault(undefined);
      await rig.readsGoodAgain(8000);
    });

    check(`${fault} before the connection: ${fresh.join(" or ")}, then good again`, async () => {
      const rig = await open({ timeoutMs });
      await rig.fault(fault, delayMs);
      const { result, tookMs } = await timed(
        orCode(rig.connect()).then(async (connection) => {
          if (typeof connection === "string") return connection;
          const outcome = await outcomeOf(
            rig,
            connection.read(pointsOf(rig), { signal: patient() }),
            pointsOf(rig),
          );
          // A device may be one that has only one connection.
          await connection.close();
          return outcome;
        }),
      );
      expect(fresh).toContain(result);
      expect(tookMs).toBeLessThan(5000);
      if (fault !== "restart") await rig.fault(undefined);
      await rig.readsGoodAgain(8000);
    });
  }

  check("a slow answer within the time is an answer", async () => {
    const rig = await open({ timeoutMs: 2000 });
    const points = rig.pick(...table.alike);
    await rig.fault("slow", 200);
    const connection = await rig.connect();
    rig.expectGood(await connection.read(points, { signal: patient() }), points);
  });

  check("asks once and does not try again by itself", async () => {
    const rig = await open({ timeoutMs: shortMs });
    const points = rig.pick(table.alike[0]);
    const connection = await rig.reads(points);
    const before = rig.simulator().counts.requests;
    await rig.fault("silent");
    expect(await codeOf(connection.read(points, { signal: patient() }))).toBe("silent");
    await sleep(2 * shortMs);
    expect(rig.simulator().counts.requests).toBe(before + 1);
  });
}

/** Reads the three alike points in turn until `untilMs`, on a new connection after each loss. */
async function readInTurn(
  rig: Rig,
  table: ReadTable,
  first: Awaited<ReturnType<Rig["connect"]>>,
  untilMs: number,
): Promise<void> {
  const groups = table.alike.toReversed().map((name) => rig.pick(name));
  const good = new Set<string>();
  let connection = first;
  while (performance.now() < untilMs || good.size < groups.length) {
    if (performance.now() > untilMs + 8000) throw new Error(`only ${[...good].join(", ")} could be read`);
    for (const points of groups) {
      const outcome = await outcomeOf(rig, connection.read(points, { signal: patient() }), points);
      if (outcome === "good") good.add(points[0]!.name);
      else {
        await connection.close();
        connection = await rig.connects();
      }
    }
  }
}

function checkLateAnswers(table: ReadTable, check: Check, open: Open): void {
  for (const where of ["on the same connection", "on a new connection"]) {
    check(`takes no late answer for that of a later request, ${where}`, async () => {
      const rig = await open({ timeoutMs: shortMs });
      const points = rig.pick(table.alike[0]);
      let connection = await rig.connects();
      const lateAt = performance.now() + 1.5 * shortMs;
      await rig.fault("late", 1.5 * shortMs);
      expect(await codeOf(connection.read(points, { signal: patient() }))).toBe("silent");
      if (where === "on a new connection") {
        await connection.close();
        connection = await rig.connects();
      }
      await readInTurn(rig, table, connection, lateAt + 2 * shortMs);
    });
  }

  check("takes no answer to a given-up request for that of a later one", async () => {
    const rig = await open({ timeoutMs: 2000 });
    const points = rig.pick(table.alike[0]);
    const connection = await rig.connect();
    await rig.fault("slow", 250);
    const aborting = new AbortController();
    const call = codeOf(connection.read(points, { signal: aborting.signal }));
    await sleep(50);
    const answerAt = performance.now() + 250;
    aborting.abort();
    expect(await call).toBe("aborted");
    rig.simulator().fault(undefined);
    await readInTurn(rig, table, connection, answerAt + 250);
  });
}

function checkAborts(subject: Subject, check: Check, open: Open): void {
  const calls = {
    read: (rig: Rig, connection: Awaited<ReturnType<Rig["connect"]>>, signal: AbortSignal) =>
      connection.read(rig.points, { signal }),
    identify: (_: Rig, connection: Awaited<ReturnType<Rig["connect"]>>, signal: AbortSignal) =>
      connection.identify(signal),
  };

  for (const [name, call] of Object.entries(calls)) {
    if (name === "identify" && subject.table.identify === undefined) continue;
    check(`${name} gives up when it is aborted, and leaves no timer`, async () => {
      const rig = await open({
        timeoutMs: endlessMs,
        settings: name === "identify" ? (subject.table.identify ?? {}) : {},
      });
      const connection = await rig.connect();
      await rig.fault("silent");
      const timersBefore = await leastOf(runningTimers);
      const aborting = new AbortController();
      const pending = orCode<unknown>(call(rig, connection, aborting.signal));
      await sleep(50);
      const abortedAt = performance.now();
      aborting.abort();
      expect(await pending).toBe("aborted");
      expect(performance.now() - abortedAt).toBeLessThan(abortMs);
      await settlesAt(runningTimers, timersBefore, 1000, "timers");
      // Aborted before it began: nothing is sent.
      const before = rig.simulator().counts.requests;
      expect(await codeOf(call(rig, connection, AbortSignal.abort()))).toBe("aborted");
      expect(rig.simulator().counts.requests).toBe(before);
    });
  }

  check("connect gives up when it is aborted, and leaves nothing open", async () => {
    const rig = await open({ timeoutMs: endlessMs });
    await (await rig.connect()).close();
    const before = openDescriptors();
    expect(await codeOf(rig.connect(1, AbortSignal.abort()))).toBe("aborted");
    const aborting = new AbortController();
    const pending = orCode(rig.connect(1, aborting.signal));
    aborting.abort();
    const { result, tookMs } = await timed(pending);
    expect(result).toBe("aborted");
    expect(tookMs).toBeLessThan(abortMs);
    await settlesAt(openDescriptors, before, 2000, "descriptors");
  });
}

function checkClose(check: Check, open: Open): void {
  check("close is safe twice, and a call after it is refused", async () => {
    const rig = await open();
    const connection = await rig.connect();
    await Promise.all([connection.close(), connection.close()]);
    await connection.close();
    expect(await codeOf(connection.read(rig.points, { signal: patient() }))).toBe("closed");
  });

  check("close is safe after a failure", async () => {
    const rig = await open({ timeoutMs: shortMs });
    const connection = await rig.connects();
    await rig.fault("hangUp");
    expect(await codeOf(connection.read(rig.points, { signal: patient() }))).not.toBe("resolved");
    await connection.close();
    await connection.close();
  });

  check("close ends a call that waits for a silent device, within a second", async () => {
    const rig = await open({ timeoutMs: endlessMs });
    const connection = await rig.connect();
    await rig.fault("silent");
    const timersBefore = await leastOf(runningTimers);
    const call = codeOf(connection.read(rig.points, { signal: patient() }));
    await sleep(50);
    const closedAt = performance.now();
    await connection.close();
    expect(await call).toBe("closed");
    expect(performance.now() - closedAt).toBeLessThan(1000);
    await settlesAt(runningTimers, timersBefore, 1000, "timers");
    await rig.fault(undefined);
    await rig.readsGoodAgain(5000);
  });
}

function checkLeaks(table: ReadTable, check: Check, open: Open): void {
  check("leaks no descriptor over 50 connections with faults", async () => {
    const rig = await open({ timeoutMs: 100 });
    const points = rig.pick(table.alike[0]);
    const cycle = async (fault: Fault | undefined, isAborted: boolean): Promise<string> => {
      await rig.fault(fault, 50);
      const connection = await orCode(rig.connect());
      if (typeof connection === "string") return connection;
      const signal = isAborted ? AbortSignal.timeout(20) : patient();
      const outcome = await outcomeOf(rig, connection.read(points, { signal }), points);
      await connection.close();
      return outcome;
    };
    const kinds: (Fault | undefined)[] = [undefined, "silent", "hangUp", "garbage", "refuse", "slow", "late"];
    // The first use of a port loads what it needs and keeps it.
    await cycle(undefined, false);
    const before = openDescriptors();
    const outcomes = new Set<string>();
    for (let i = 0; i < 50; i++) outcomes.add(await cycle(kinds[i % kinds.length], i % 3 !== 0));
    await rig.fault(undefined);
    await settlesAt(openDescriptors, before, 3000, "descriptors");
    expect(outcomes.size).toBeGreaterThan(2);
    await rig.readsGoodAgain(5000);
  });
}

function checkNeighbours(transport: Transport, table: ReadTable, check: Check, open: Open): void {
  check(
    "two devices at one place: each has its own values, and one that is dead leaves the other alone",
    async () => {
      const rig = await open({ timeoutMs: 3 * shortMs, devices: 2 });
      const { driver } = rig.subject;
      const [lineA, lineB] = [1, 2].map((device) => driver.line?.(rig.driverSettings(device)));
      expect(lineA).toBe(lineB);
      expect(lineA !== undefined).toBe(transport.isShared);
      const [a, b] = [await rig.connect(1), await rig.connect(2)];
      const points = rig.pick(...table.alike);
      const readA = async (): Promise<void> =>
        rig.expectGood(await a.read(points, { signal: patient() }), points, 1);
      for (let round = 0; round < 2; round++) {
        await readA();
        rig.expectGood(await b.read(points, { signal: patient() }), points, 2);
      }
      for (const fault of ["silent", "late"] as const) {
        await rig.fault(fault, 4 * shortMs, 2);
        const outcome = await outcomeOf(rig, b.read(points, { signal: patient() }), points, 2);
        // One answer is lost; what is asked after it may be answered.
        expect(fault === "late" ? ["silent", "mixed"] : ["silent"]).toContain(outcome);
        await readA();
        await rig.fault(undefined, undefined, 2);
      }
      await b.close();
      await readA();
      await rig.readsGoodAgain(5000, 2);
      await readA();
    },
  );
}
