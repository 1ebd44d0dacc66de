import { afterEach, beforeEach } from "vitest";
import { type Broker, startBroker, temporaryFolder } from "./testing.ts";

/** A folder of its own for each test of a file, and brokers in it; `onEnd`: what is done after the test, the last first. */
export function brokered(): {
  folder: () => ReturnType<typeof temporaryFolder>;
  broker: (more?: string[]) => Promise<Broker>;
  onEnd: (end: () => unknown) => void;
} {
  let folder: ReturnType<typeof temporaryFolder>;
  const ends: (() => unknown)[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
    ends.push(() => folder.remove());
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  return {
    folder: () => folder,
    async broker(more = []) {
      const started = await startBroker(folder.path, more);
      ends.push(() => started.kill());
      return started;
    },
    onEnd: (end) => void ends.push(end),
  };
}
