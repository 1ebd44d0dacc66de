import { writeSync } from "node:fs";
import { EventWriter } from "../gateway/event.ts";
import { OutboxStore } from "../gateway/outbox/store.ts";

// Commits without end and says the newest accepted id on stdout after each commit: the victim of kill -9 tests.
const store = new OutboxStore({ path: process.argv[2] ?? "", bytesMax: 256 * 1024 * 1024 });
const writer = new EventWriter();
for (;;) {
  const rows = store.commit(
    Array.from({ length: 1 + Math.floor(Math.random() * 50) }, (_, i) => {
      writer.begin("telemetry", 1, Date.now(), 0, "synced");
      writer.count(1);
      writer.reading(1, i, 0);
      return { lane: 1 as const, body: Buffer.from(writer.bytes()) };
    }),
  );
  writeSync(1, `${rows.at(-1)?.id}\n`);
}
