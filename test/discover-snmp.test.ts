import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { discovery } from "../drivers/snmp/discover.ts";
import { readHeader } from "../drivers/snmp/header.ts";
import type { Found } from "../gateway/driver.ts";

/** Agents that answer late, or only when they are asked once more, before the look for SNMP devices. */

const open: { close(): unknown }[] = [];
afterAll(() => open.splice(0).forEach((one) => one.close()));

const versions = { "1": 0, "2c": 1, "3": 3 } as const;
type Version = keyof typeof versions;

/** A report of the engine 80 00 1f 88 04. */
const report =
  "3042020103300e020101020300ffe304010002010304153013040580001f8804020101020101040004000400" +
  "3016040580001f88040400a80b0201010201000201003000";

/** The question itself as a response; of v3 a report. */
function answerTo(question: Buffer, version: Version): Buffer {
  if (version === "3") return Buffer.from(report, "hex");
  const answer = Buffer.from(question);
  answer[answer.indexOf(0xa0)] = 0xa2;
  return answer;
}

/** Answers questions of its version, the first `lost` not at all, the first answer after a while. */
async function agent(version: Version, { lost = 0, afterMs = 0 }) {
  const socket = createSocket("udp4");
  open.push(socket);
  const seen = { questions: 0 };
  socket.on("message", (question, { address, port }) => {
    if (readHeader(question)?.version !== versions[version] || ++seen.questions <= lost) return;
    const isFirst = seen.questions === lost + 1;
    setTimeout(() => socket.send(answerTo(question, version), port, address), isFirst ? afterMs : 0);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { port: socket.address().port, seen };
}

async function look(port: number, signal = new AbortController().signal): Promise<Found[]> {
  const found: Found[] = [];
  for await (const one of discovery.atPort!(
    { host: "127.0.0.1", port },
    { signal, forMs: 0, tell: () => {} },
  ))
    found.push(one);
  return found;
}

describe.concurrent("an agent", () => {
  describe.each(Object.keys(versions) as Version[])("of version %s", (version) => {
    it.each([
      ["that answers within a second", { afterMs: 950 }],
      ["to which the first question is lost", { lost: 1 }],
    ])("%s is found", async (_, habits) => {
      const { port } = await agent(version, habits);
      expect(await look(port)).toMatchObject([{ at: { port }, settings: { version } }]);
    });
  });

  it("that has answered is found, although this process was busy until the time was over", async () => {
    const { port, seen } = await agent("3", { lost: 1, afterMs: 900 });
    const found = look(port);
    while (seen.questions < 2) await sleep(5);
    // The answer leaves and the time ends in one round of timers.
    await sleep(850);
    const untilMs = performance.now() + 400;
    while (performance.now() < untilMs);
    expect(await found).toMatchObject([{ settings: { version: "3" } }]);
  });
});

it("a search that is given up ends at once", async () => {
  const { port } = await agent("1", { lost: 100 });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  const startedMs = performance.now();
  await expect(look(port, stop.signal)).rejects.toMatchObject({ code: "aborted" });
  expect(performance.now() - startedMs).toBeLessThan(700);
});
