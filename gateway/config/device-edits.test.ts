import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import {
  addDevice,
  changedLines,
  EditError,
  indexOfDevice,
  isBare,
  placeOfDevice,
  removeDevice,
  setKey,
} from "./device-edits.ts";

/** Edits of one device: what comes and goes is said here byte for byte, all else must stay. */

const fresh = {
  id: "cab-09",
  name: "Tủ chiếu sáng: số 9 # cũ",
  driver: "onvif",
  transport: { type: "tcp", host: "10.0.0.4", port: 502 },
  password: "${secret:cab-09}",
};
const freshLines = [
  "id: cab-09",
  'name: "Tủ chiếu sáng: số 9 # cũ"',
  "driver: onvif",
  "transport: { type: tcp, host: 10.0.0.4, port: 502 }",
  "password: ${secret:cab-09}",
];
const block = (indent: string, newline = "\n", dash = "- "): string =>
  freshLines
    .map((line, i) => `${indent}${i === 0 ? dash : " ".repeat(dash.length)}${line}${newline}`)
    .join("");

const hand = `# Cameras of the crossing. Đừng sửa khi chưa hỏi.
devices:
  # north side
  - id: cam-north   # the old one
    name: Camera hướng Bắc
    driver: onvif
    settings:   &common
      host:    192.168.10.21
    # it is slow
    timeout: 4s

  # south side
  -   {id: cam-south, name: 'Camera hướng Nam', driver: onvif}

  - id: cam-west
    text: |
      long

      text
    other: *common
# the end
`;

const sayings: Record<string, [text: string, after: string]> = {
  "a file that is empty": ["", `devices:\n${block("  ")}`],
  "a file of comments": ["# later", `# later\ndevices:\n${block("  ")}`],
  "an empty list": ["devices: []   # none yet\n# end\n", `devices:   # none yet\n${block("  ")}# end\n`],
  "a key without a list": ["devices:\n", `devices:\n${block("  ")}`],
  "a list at the margin, with no newline at its end": [
    "devices:\n- id: a1\n- id: a2",
    `devices:\n- id: a1\n- id: a2\n${block("")}`,
  ],
  "wide dashes, a blank line between devices": [
    "devices:\n    -   id: a1\n\n    -   id: a2\n",
    `devices:\n    -   id: a1\n\n    -   id: a2\n\n${block("    ", "\n", "-   ")}`,
  ],
  CRLF: [
    "devices:\r\n  - id: a1\r\n\r\n  # b\r\n  - id: a2\r\n",
    `devices:\r\n  - id: a1\r\n\r\n  # b\r\n  - id: a2\r\n\r\n${block("  ", "\r\n")}`,
  ],
  "the end of a document": [
    "---\ndevices:\n- id: a1\n- id: a2\n...\n",
    `---\ndevices:\n- id: a1\n- id: a2\n${block("")}...\n`,
  ],
  brackets: [
    "devices: [{ id: a1 }]\n",
    `devices: [{ id: a1 }, { id: cab-09, name: "Tủ chiếu sáng: số 9 # cũ", driver: onvif, transport: { type: tcp, host: 10.0.0.4, port: 502 }, password: "\${secret:cab-09}" }]\n`,
  ],
};

describe("a device more", () => {
  test.each(Object.entries(sayings))("goes behind %s", (_, [text, after]) => {
    const edited = addDevice(text, fresh);
    expect(edited).toBe(after);
    expect((parse(edited) as { devices: unknown[] }).devices.at(-1)).toEqual(fresh);
  });

  test("leaves every byte of a file that was written by hand", () => {
    expect(addDevice(hand, fresh)).toBe(`${hand}\n${block("  ")}`);
  });

  test("is not written where the file would say something else", () => {
    expect(() => addDevice("devices: 3\n", fresh)).toThrow(EditError);
    expect(() => addDevice("- a\n", fresh)).toThrow(EditError);
    expect(() => addDevice("devices: [\n", fresh)).toThrow(EditError);
  });
});

describe("a device less", () => {
  test("goes with its own lines and comments, and those of its neighbours stay", () => {
    // The comment above it may be about all that follow: it stays, and not upon the next one.
    const south = "  -   {id: cam-south, name: 'Camera hướng Nam', driver: onvif}\n";
    expect(removeDevice(hand, 1)).toBe(hand.replace(south, ""));
    const west = hand.slice(hand.indexOf("\n  - id: cam-west"), hand.indexOf("# the end"));
    expect(removeDevice(hand, 2)).toBe(hand.replace(west, "\n"));
  });

  test("takes the comments that are indented as its keys along, and one blank line", () => {
    const text =
      "devices:\n  - id: a1\n    x: 1\n    # of a1\n  # of b1\n  - id: b1\n\n  - id: c1\n\n  - id: d1\n";
    expect(removeDevice(text, 0)).toBe(text.replace("  - id: a1\n    x: 1\n    # of a1\n", ""));
    expect(removeDevice(text, 2)).toBe(text.replace("  - id: c1\n\n", ""));
    expect(removeDevice(text, 3)).toBe(text.replace("\n  - id: d1\n", ""));
  });

  test("stays where others use what its lines hold", () => {
    expect(() => removeDevice(hand, 0)).toThrow(EditError);
  });

  test("leaves an empty list, and nothing worth keeping of a file of its own", () => {
    const own =
      "# yaml-language-server: $schema=../devices.schema.json\r\ndevices:\r\n  - id: a1\r\n    x: 1\r\n";
    const after = removeDevice(own, 0);
    expect(after).toBe("# yaml-language-server: $schema=../devices.schema.json\r\ndevices: []\r\n");
    expect(isBare(after)).toBe(true);
    expect(isBare(removeDevice("# mine\ndevices:\n- id: a1\n", 0))).toBe(false);
  });
});

describe("a key", () => {
  test("is set where it stands, and its comment stays", () => {
    const named = setKey(hand, 0, "name", "Camera: Bắc");
    expect(named).toBe(hand.replace("name: Camera hướng Bắc", 'name: "Camera: Bắc"'));
    const south = setKey(hand, 1, "name", "a, b");
    expect(south).toBe(hand.replace("'Camera hướng Nam'", '"a, b"'));
    expect(setKey(hand, 0, "id", "cam-1")).toBe(hand.replace("cam-north ", "cam-1 "));
  });

  test("goes behind the id where it is not there", () => {
    expect(setKey(hand, 0, "enabled", false)).toBe(
      hand.replace("# the old one\n", "# the old one\n    enabled: false\n"),
    );
    expect(setKey(hand, 1, "enabled", false)).toBe(
      hand.replace("{id: cam-south,", "{id: cam-south, enabled: false,"),
    );
    expect(setKey("devices:\r\n- id: a1", 0, "enabled", false)).toBe(
      "devices:\r\n- id: a1\r\n  enabled: false\r\n",
    );
  });

  test("is set inside another one, in brackets as on lines of its own", () => {
    const text =
      "devices:\n  - id: a1\n    at: { host: x, port: 1 } # wired\n    line:\n      baud: 9600 # slow\n";
    expect(setKey(text, 0, "at.port", 502)).toBe(text.replace("port: 1", "port: 502"));
    expect(setKey(text, 0, "at.unit", 7)).toBe(text.replace("port: 1", "port: 1, unit: 7"));
    expect(setKey(text, 0, "line.baud", 19200)).toBe(text.replace("9600", "19200"));
    expect(setKey(text, 0, "retry.count", 2)).toBe(text.replace("a1\n", "a1\n    retry: { count: 2 }\n"));
    expect(() => setKey(text, 0, "line.parity", "even")).toThrow(EditError);
  });

  test("is not set where another device would change with it", () => {
    const shared = "devices:\n  - &a\n    id: a1\n    name: &n Tủ\n  - id: a2\n    name: *n\n";
    expect(() => setKey(shared, 0, "name", "x")).toThrow(EditError);
    expect(setKey(shared, 1, "name", "x")).toBe(shared.replace("*n", "x"));
    expect(() => setKey("devices:\n- &a { id: a1 }\n- *a\n", 1, "name", "x")).toThrow(EditError);
  });
});

test("any device goes in and out of any place, and the file is as before", () => {
  const text = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((one) => !/\p{Cc}/u.test(one));
  const value = fc.oneof(
    text,
    fc.integer(),
    fc.boolean(),
    fc.record({ a: text, b: fc.array(text, { maxLength: 3 }) }, { noNullPrototype: true }),
  );
  const device = fc.record({ id: fc.constant("x1"), one: value, two: value }, { noNullPrototype: true });
  const files = [hand, ...Object.values(sayings).map(([before]) => before)].filter(
    (one) => !one.includes("[{"),
  );
  fc.assert(
    fc.property(fc.constantFrom(...files), device, (before, one) => {
      const after = addDevice(before, one);
      expect((parse(after) as { devices: unknown[] }).devices.at(-1)).toEqual(one);
      const index = indexOfDevice(after, "x1");
      const lines = changedLines(before, after).filter(({ sign }) => sign === "-");
      // A line without a newline at the end of the file is none.
      expect(lines.filter((line) => !line.text.startsWith("devices:"))).toEqual([]);
      const without = removeDevice(after, index);
      if (indexOfDevice(before, "a1") >= 0 || before === hand)
        expect(without.replace(/\s+$/, "")).toBe(before.replace(/\s+$/, ""));
      else expect((parse(without) as { devices: unknown[] }).devices).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test("where a device stands is its first and last line", () => {
  expect(placeOfDevice(hand, 0)).toEqual({ first: 4, last: 10 });
  expect(placeOfDevice(hand, 1)).toEqual({ first: 13, last: 13 });
  expect(placeOfDevice(hand, 2)).toEqual({ first: 15, last: 20 });
});
