import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { address } from "./settings.ts";
import { codeOf, met, type Message } from "./testing.ts";

/** What of a site's messages is acknowledged, and when: it forgets what was. */

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

const status = (): Message => ({
  ntsOId: "",
  xNId: "",
  cId: "TC1",
  aSTS: new Date().toISOString(),
  fP: null,
  fS: null,
  se: [false, false, true, false, false, true, false, false],
});

async function rig(isListening = true) {
  const { site, connection } = await met({ timeout: 900 });
  const disk: ((isHeld: boolean) => void)[] = [];
  let told = 0;
  const stop = new AbortController();
  const listen = () =>
    codeOf(
      connection.subscribe!({
        points: [{ name: "fault", address: address.parse({ aggregated: "se", bit: 3 }) }],
        records: [],
        sink: {
          alive() {},
          readings: () => void told++,
          record() {},
          poll() {},
          held: () => new Promise((resolve) => void disk.push(resolve)),
        },
        signal: stop.signal,
      }),
    );
  const ended = isListening ? listen() : Promise.resolve("");
  open.push(async () => {
    stop.abort();
    await connection.close();
    site.hangUp();
  });
  const isAcknowledged = (id: string) => site.received.some(({ oMId }) => oMId === id);
  return { site, disk, ended, listen, isAcknowledged, told: () => told };
}

test("what a site tells is acknowledged when it is on disk, and a watchdog at once", async () => {
  const { site, disk, isAcknowledged, told } = await rig();
  const id = site.say("AggregatedStatus", status());
  await expect.poll(() => disk.length).toBe(1);
  await site.verdict(site.say("Watchdog", { wTs: new Date().toISOString() }));
  expect([told(), isAcknowledged(id)]).toEqual([1, false]);
  disk[0]!(true);
  expect(await site.verdict(id)).toMatchObject({ type: "MessageAck" });
});

test("what could not be kept ends the connection, so that the site keeps it", async () => {
  const { site, disk, ended, isAcknowledged } = await rig();
  const id = site.say("AggregatedStatus", status());
  await expect.poll(() => disk.length).toBe(1);
  disk[0]!(false);
  expect(await ended).toBe("hung-up");
  await site.gone();
  expect(isAcknowledged(id)).toBe(false);
});

test("a disk that takes nothing ends the connection after the timeout", async () => {
  const { site, ended, isAcknowledged } = await rig();
  const id = site.say("AggregatedStatus", status());
  // What the gateway asked for is acknowledged, or its own timeout would be what ends it.
  const answered = new Set<unknown>();
  const answering = setInterval(() => {
    for (const message of site.received)
      if ("mId" in message && !answered.has(message)) {
        answered.add(message);
        site.acknowledge(message);
      }
  }, 20);
  expect(await ended).toBe("hung-up");
  clearInterval(answering);
  expect(isAcknowledged(id)).toBe(false);
});

test("what came before anybody listened waits for that, but not for ever", async () => {
  const { site, disk, listen, isAcknowledged } = await rig(false);
  const id = site.say("AggregatedStatus", status());
  await sleep(100);
  expect(isAcknowledged(id)).toBe(false);
  void listen();
  await expect.poll(() => disk.length).toBe(1);
  expect(isAcknowledged(id)).toBe(false);
  disk[0]!(true);
  await site.verdict(id);
  const { site: other } = await rig(false);
  expect(await other.verdict(other.say("AggregatedStatus", status()))).toMatchObject({ type: "MessageAck" });
});
