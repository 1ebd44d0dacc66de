import { readdirSync, readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { connectTo, Ear, patient, pointsOf, scriptedServer, settingsOf, until } from "./testing.ts";

/** `frames/*.txt`: what instruments were asked and said, byte by byte, with its origin, and what is read from it. */

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

type Tree = Record<string, unknown>;
const folder = new URL("frames/", import.meta.url);
const files = readdirSync(folder).filter((file) => file.endsWith(".txt"));

test("there are some", () => expect(files.length).toBeGreaterThan(20));

test.each(files)("%s", async (file) => {
  const lines = readFileSync(new URL(file, folder), "utf8").split("\n");
  expect(lines[1], "its origin").toMatch(/^# \w/);
  const field = (name: string): unknown => {
    const line = lines.find((one) => one.startsWith(`${name}: `));
    return line === undefined ? undefined : (JSON.parse(line.slice(name.length + 2)) as unknown);
  };
  const asks = (field("asks") as string[] | undefined) ?? [];
  const answers = (field("answers") as string[] | undefined) ?? [];
  let at = 0;
  let waiting = "";
  const server = await scriptedServer((text) => {
    waiting += text;
    if (waiting !== asks[at]) return undefined;
    waiting = "";
    return answers[at++];
  });
  open.push(server);
  const from = (field("profile") as string | undefined) ?? (field("grammar") as Tree);
  const connection = await connectTo(
    settingsOf(from, server.port, { timeout: 1000, ...(field("settings") as Tree) }),
  );
  open.push(connection);
  const points = pointsOf((field("points") as Tree[] | undefined) ?? []);
  const tells = field("tells") as string | undefined;
  if (tells === undefined) {
    const result = await connection.read(points, { signal: patient() });
    expect(result.answers).toEqual(field("values"));
    expect(server.heard).toBe(asks.join(""));
    return;
  }
  const ear = new Ear();
  const stop = new AbortController();
  const done = connection.subscribe!({ points, records: [], sink: ear, signal: stop.signal });
  await until("a connection", () => server.sockets.size > 0);
  server.say(tells);
  await until("values", () => ear.values.size === points.length);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(points.map((_, index) => ear.values.get(index))).toEqual(field("values"));
  stop.abort();
  await done;
});
