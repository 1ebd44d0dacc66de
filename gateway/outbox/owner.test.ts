import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { urgentEvent } from "./own-events.ts";
import { ownerOf } from "./owner.ts";
import { StillQueue } from "./still.ts";
import { folder, path, start, stop } from "./testing.ts";

/** A start as the gateway does it: the gateway is a device of its own queue. */
function begin(gateway: string, events = 0) {
  const store = start({ gateway });
  const [self] = store.register([{ id: gateway, type: "gateway", profile: "", points: [] }]);
  const body = () => urgentEvent("device-status", self?.index ?? 0, { state: "started" });
  if (events > 0) store.commit(Array.from({ length: events }, body));
  return store;
}

const beside = () => join(folder, "epoch");
/** As a kerb wrote it that did not know whose a folder is. */
const forgetOwner = () =>
  writeFileSync(beside(), readFileSync(beside(), "utf8").replace(/^gateway .*\n/m, ""));
const other = (owner: string, gateway: string, kept?: number) =>
  expect.objectContaining({ code: "KERB-OUT-OWNER", owner, gateway, folder, kept });

describe("a state folder remembers whose it is", () => {
  it("refuses another id and says what is kept, and nothing has changed", () => {
    stop(begin("box-a", 3));
    const [queue, note] = [readFileSync(path), readFileSync(beside(), "utf8")];
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b", 3));
    expect(readFileSync(path).equals(queue)).toBe(true);
    expect(readFileSync(beside(), "utf8")).toBe(note);
    expect(begin("box-a").count().rows).toBe(3);
  });

  it("knows it from the queue of an older kerb, and takes the folder then", () => {
    stop(begin("box-a", 2));
    forgetOwner();
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b", 2));
    stop(begin("box-a"));
    expect(ownerOf(path)).toBe("box-a");
    rmSync(path);
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b", 0));
  });

  it("refuses a queue that was carried here from another box", () => {
    stop(begin("box-a", 1));
    const carried = readFileSync(path);
    for (const file of [path, beside(), join(folder, "dictionary")]) rmSync(file);
    stop(begin("box-b"));
    writeFileSync(path, carried);
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b", 1));
  });

  it("takes a queue for its own that had several names before they were told apart", () => {
    const store = begin("box-a", 1);
    store.register([{ id: "box-b", type: "gateway", profile: "", points: [] }]);
    stop(store);
    forgetOwner();
    expect(() => begin("box-c")).toThrow(other("box-b", "box-c", 1));
    stop(begin("box-a"));
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b", 1));
    const still = new StillQueue(path);
    expect(still.gateway, "who has its old name back").toBe("box-a");
    still.close();
  });

  it("does not believe a line with a wrong bit in it", () => {
    stop(begin("box-a", 1));
    writeFileSync(beside(), readFileSync(beside(), "utf8").replace("gateway box-a", "gateway box-c"));
    expect(begin("box-a").count().rows).toBe(1);
  });
});

describe("a damaged queue", () => {
  it("is still its owner's, who alone salvages it", () => {
    stop(begin("box-a", 3));
    writeFileSync(path, Buffer.alloc(20_000, 7));
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b"));
    const store = begin("box-a");
    expect(store.quarantined).toMatch(/damaged-/);
    stop(store);
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b"));
  });

  it("keeps its owner where the line beside it is lost with it", () => {
    stop(begin("box-a", 3));
    writeFileSync(path, Buffer.alloc(20_000, 7));
    rmSync(beside());
    expect(() => begin("box-b")).toThrow(other("box-a", "box-b"));
  });

  it("put in its place while the gateway runs is put aside where it is another's", () => {
    stop(begin("box-b", 1));
    const foreign = readFileSync(path);
    for (const file of [path, beside(), join(folder, "dictionary")]) rmSync(file);
    const store = begin("box-a", 1);
    const { resume } = store;
    stop(store);
    writeFileSync(path, foreign);
    const again = start({ gateway: "box-a", resume: { ...resume, epoch: resume.epoch + 10 } });
    expect(again.quarantined).toMatch(/replaced-/);
  });
});
