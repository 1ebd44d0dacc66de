import type { Facts, Rung } from "../driver.ts";

/** From the ground up. */
export const rungOrder: readonly Rung[] = [
  "network",
  "port",
  "line",
  "protocol",
  "login",
  "identity",
  "values",
  "upstream",
];

/** The rung at which an error of the contract most often belongs, where the driver says nothing better. */
const usual: Readonly<Record<string, Rung>> = {
  refused: "port",
  unreachable: "network",
  busy: "port",
  denied: "login",
  "wrong-device": "identity",
};

/** At which rung a device was lost: as its driver says (the fact "rung"), else by the code of its error. */
export function rungOf(facts: Facts, code: string): Rung {
  const told = rungOrder.find((rung) => rung === facts["rung"]);
  return told ?? usual[code] ?? "protocol";
}
