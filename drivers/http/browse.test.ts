import { expect, test } from "vitest";
import type { Browsed, LeftOut } from "../../gateway/driver.ts";
import { connect, failure, http, patient, scripted } from "./testing.ts";

/** Listing one document of a device that is not known. */

async function listed(port: number, under: string): Promise<Browsed[]> {
  const connection = await connect(port);
  const request = { under, entriesMax: 50, depthMax: 16, untilMs: performance.now() + 10_000 };
  const found: Browsed[] = [];
  for await (const one of connection.browse!({ ...request, signal: patient() }))
    if ("what" in one) found.push(one);
  return found;
}

test("a document is fetched once, whatever its format turns out to be", async () => {
  const server = await scripted((_, socket) =>
    socket.write(http(200, 'level,temperature\n7,"12,5"\n', { "Content-Type": "text/csv" })),
  );
  const found = await listed(server.port, "/relay/0?turn=on");
  expect(server.requests).toHaveLength(1);
  expect(found.map(({ answer }) => answer)).toEqual([7, "12,5"]);
  // It may be a number, which the settings decide.
  expect(found[1]!.guesses).toMatchObject([
    { type: "text", why: expect.stringMatching(/decimal/) as string },
  ]);
});

test("what a member is called is no bound: it is listed as what an address cannot name", async () => {
  const body = JSON.stringify({ level: 7, 'the "real" level': 8, "": { deep: 9 } });
  const server = await scripted((_, socket) => socket.write(http(200, body)));
  const connection = await connect(server.port);
  const request = { under: "/x", entriesMax: 50, depthMax: 16, untilMs: performance.now() + 10_000 };
  const found: (Browsed | LeftOut)[] = [];
  for await (const one of connection.browse!({ ...request, signal: patient() })) found.push(one);
  const why = { more: { why: "an address cannot name it" } };
  expect(found).toMatchObject([
    { path: ["level"], answer: 7 },
    { what: "value", path: ['the "real" level'], ...why },
    { what: "value", path: [""], ...why },
  ]);
  expect(found.filter((one) => "address" in one)).toHaveLength(1);
});

test("a path that no address may have is refused before the device is asked", async () => {
  const server = await scripted((_, socket) => socket.write(http(200, "{}")));
  expect(await failure(listed(server.port, "//other/x"))).toMatch(/is no path such as/);
  expect(server.requests).toEqual([]);
});
