import { readFileSync } from "node:fs";

/** A verb of the command line as `kerb --help` shows it. */
export interface Verb {
  name: string;
  /** What follows the name. */
  usage: string;
  summary: string;
}

const groups: [title: string, verbs: Verb[]][] = [
  [
    "See it work",
    [{ name: "demo", usage: "", summary: "a whole district on this machine, nothing to install: npm start" }],
  ],
  [
    "At the cabinet",
    [
      {
        name: "read",
        usage: "DEVICE [POINT..]",
        summary: "read a device now: values, quality, age, address",
      },
      {
        name: "identify",
        usage: "DEVICE",
        summary: "who a device is: maker, model, firmware, unit; which profiles fit it, and why",
      },
      {
        name: "browse",
        usage: "DEVICE",
        summary: "what a device has: names, types, units, values, addresses",
      },
      { name: "status", usage: "", summary: "the running gateway: links to the IOC, outbox, devices" },
      { name: "health", usage: "", summary: "what is wrong with the running gateway, why, and what to do" },
      {
        name: "why",
        usage: "DEVICE",
        summary: "why a device fails: rung by rung, what was seen, the likely cause, what to do",
      },
      { name: "problems", usage: "", summary: "what is wrong now, worst first, each with one thing to do" },
      { name: "doctor", usage: "", summary: "everything checked at once: box, site file, links, devices" },
      { name: "tail", usage: "", summary: "events as they are accepted" },
      {
        name: "write",
        usage: "DEVICE POINT=VALUE",
        summary: "write a point, after a look at what stands there; on the record, seen by the IOC",
      },
      {
        name: "audit",
        usage: "verify|show",
        summary: "the journal of commands: is it what was written? what was ordered, and by whom?",
      },
      { name: "snapshot", usage: "REF -o FILE", summary: "a kept picture, decrypted on this box" },
      {
        name: "books",
        usage: "",
        summary: "every accepted event accounted for, by device: delivered, kept, dropped",
      },
    ],
  ],
  [
    "The gateway",
    [
      { name: "check", usage: "FILE", summary: "check a site file and everything that it names" },
      { name: "run", usage: "FILE", summary: "run the gateway of a site file until Ctrl-C" },
    ],
  ],
  [
    "The operations centre",
    [
      { name: "receive", usage: "", summary: "take events into custody and acknowledge them" },
      {
        name: "command",
        usage: "GATEWAY DEVICE POINT=VALUE",
        summary: "sign a command, send it and follow it to its end; keygen: a key to sign with",
      },
      { name: "certificate", usage: "[GATEWAY]", summary: "hour by hour: is anything missing or altered?" },
    ],
  ],
  [
    "For developers",
    [
      {
        name: "simulate",
        usage: "[PROFILE]",
        summary: "pretend to be a device, all devices of a site, or a broker",
      },
      { name: "record", usage: "DEVICE", summary: "what a device says on the wire, into a cassette" },
      { name: "profiles", usage: "[ID]", summary: "models that kerb knows, and their points" },
      {
        name: "profile",
        usage: "new|lint|test",
        summary:
          "new: draft one from a device; lint: what is wrong; test: do recordings still read the same?",
      },
      { name: "drivers", usage: "", summary: "protocols that kerb speaks, and how far each is proven" },
      { name: "version", usage: "", summary: "versions of kerb, Node and SQLite" },
    ],
  ],
];

/** All verbs. */
export const verbs: readonly Verb[] = groups.flatMap(([, list]) => list);

/** kerb's version. */
export function kerbVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

/** What `kerb --help` prints; made here, so that it needs neither commander nor anything else. */
export function helpText(): string {
  const width = Math.max(...verbs.map(({ name, usage }) => name.length + usage.length + 1));
  const lines = groups.flatMap(([title, list]) => [
    "",
    title,
    ...list.map(({ name, usage, summary }) => `  ${`${name} ${usage}`.padEnd(width)}  ${summary}`),
  ]);
  return [
    "kerb: edge gateway for roadside and district hardware.",
    "Every event that is accepted is delivered or accounted for.",
    "",
    "Usage: kerb <verb> [options]",
    ...lines,
    "",
    "Each verb: --help for its options, --json for machines.",
    "Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not found, 4 no gateway runs, 5 no answer from device or IOC,",
    "            6 findings (why, problems, doctor, health, books, certificate, audit, profile lint, profile test), 7 not allowed, 8 no answer in time,",
    "            9 surely not executed, 10 nobody knows yet, 78 configuration wrong, 79 outbox of a newer kerb, 130 interrupted",
    "",
  ].join("\n");
}
