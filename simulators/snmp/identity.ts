import { integer, octets, oid, tags } from "./ber.ts";
import type { Mib } from "./mib.ts";

export interface Identity {
  vendor?: string;
  model?: string;
  firmware?: string;
  serial?: string;
}

/** Where devices of each kind say who they are; the first whose root the profile's points lie under is shown. */
const kinds = [
  {
    root: "1.3.6.1.2.1.33.",
    at: {
      vendor: "1.3.6.1.2.1.33.1.1.1.0",
      model: "1.3.6.1.2.1.33.1.1.2.0",
      firmware: "1.3.6.1.2.1.33.1.1.3.0",
    },
  },
  {
    // NTCIP 1201 globalModuleTable, row 1.
    root: "1.3.6.1.4.1.1206.4.2.",
    at: {
      vendor: "1.3.6.1.4.1.1206.4.2.6.1.3.1.3.1",
      model: "1.3.6.1.4.1.1206.4.2.6.1.3.1.4.1",
      firmware: "1.3.6.1.4.1.1206.4.2.6.1.3.1.5.1",
    },
  },
  {
    root: "1.3.6.1.4.1.13267.",
    at: {
      vendor: "1.3.6.1.4.1.13267.3.2.1.4.0",
      model: "1.3.6.1.4.1.13267.3.2.1.5.0",
      firmware: "1.3.6.1.4.1.13267.3.2.1.1.0",
    },
  },
  {
    root: "1.3.6.1.4.1.48690.",
    at: {
      serial: "1.3.6.1.4.1.48690.1.1.0",
      model: "1.3.6.1.4.1.48690.1.3.0",
      firmware: "1.3.6.1.4.1.48690.1.6.0",
    },
  },
  {
    // ENTITY-MIB, entPhysicalTable row 1.
    root: "",
    at: {
      vendor: "1.3.6.1.2.1.47.1.1.1.1.12.1",
      model: "1.3.6.1.2.1.47.1.1.1.1.13.1",
      firmware: "1.3.6.1.2.1.47.1.1.1.1.10.1",
      serial: "1.3.6.1.2.1.47.1.1.1.1.11.1",
    },
  },
];

/** Adds the system group, and the device's identity where devices of its kind have it. */
export function addIdentity(mib: Mib, identity: Identity, oids: readonly string[], startedMs: number): void {
  const { vendor, model, firmware } = identity;
  const system = "1.3.6.1.2.1.1";
  const describe = [vendor, model, firmware].filter((part) => part !== undefined).join(" ");
  const add = (at: string, value: Buffer): void => {
    if (!mib.has(at)) mib.constant(at, value);
  };
  add(`${system}.1.0`, octets(describe === "" ? "simulated by kerb" : describe));
  add(`${system}.2.0`, oid("1.3.6.1.4.1.1206.4.2"));
  if (!mib.has(`${system}.3.0`))
    mib.add(`${system}.3.0`, {
      get: () => integer(Math.floor((performance.now() - startedMs) / 10), tags.ticks),
    });
  add(`${system}.5.0`, octets("kerb-simulator"));
  const kind = kinds.find(({ root }) => oids.some((one) => one.startsWith(root)));
  for (const [key, at] of Object.entries(kind?.at ?? {})) {
    const name = key as keyof Identity;
    const text = identity[name];
    if (text !== undefined && !mib.has(at)) mib.add(at, { get: () => octets(identity[name] ?? text) });
  }
  if (kind?.root.includes("1206")) {
    add("1.3.6.1.4.1.1206.4.2.6.1.2.0", integer(1));
    add("1.3.6.1.4.1.1206.4.2.6.1.3.1.6.1", integer(3));
  }
}
