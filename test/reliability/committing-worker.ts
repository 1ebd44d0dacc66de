import { EventWriter } from "../../gateway/event.ts";
import { frameHeadBytes, writeFrame } from "../../gateway/outbox/frames.ts";
import { Outbox } from "../../gateway/outbox/outbox.ts";

/**
 * `committing-worker.ts FILE COMMITS`: the real outbox worker, handed one event after the other; each is handed over
 * when the one before is accepted, so that each is a commit of its own. Prints how many were accepted.
 */

const [path = "", commits = "1"] = process.argv.slice(2);
let accepted = 0;
let heard: (() => void) | undefined;
const events = {
  accepted: () => {
    accepted++;
    heard?.();
  },
  send: () => {},
  tail: () => {},
  failure: (text: string | undefined) => console.error(text),
  problem: (text: string) => console.error(text),
  died: (error: Error) => {
    throw error;
  },
};
const limits = { bytesMax: 64 * 1024 * 1024, commitAfterMs: 1, commitEventsMax: 200 };
const outbox = new Outbox({ path, ...limits, gateway: "guard", uplinks: [] }, events);
await outbox.request("open");

const writer = new EventWriter();
for (let i = 0; i < Number(commits); i++) {
  writer.begin("telemetry", 1, Date.now(), 0, "synced");
  writer.count(1);
  writer.reading(1, i, 0);
  const body = writer.bytes();
  const frame = Buffer.alloc(frameHeadBytes + body.length);
  writeFrame(frame, 0, 1, body);
  const acceptance = new Promise<void>((resolve) => (heard = resolve));
  outbox.tell({ type: "frames", stream: 1, bytes: frame });
  await acceptance;
}
await outbox.close();
console.log(accepted);
