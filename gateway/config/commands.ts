import type { CommandsConfig, DeviceWrite } from "../commands/policy.ts";
import type { DeviceConfig } from "./devices.ts";
import type { YamlDocument } from "./document.ts";
import { type Path, valueAt } from "./path.ts";
import { didYouMean } from "./words.ts";

/** What no schema sees of `commands` and `write`: whether what they name is there. */

/** `write` of a device names points that it has, and that its profile lets be written. */
export function checkDeviceWrite(
  document: YamlDocument,
  path: Path,
  write: DeviceWrite | undefined,
  points: DeviceConfig["points"],
): void {
  if (write === undefined) return;
  const open = points.filter((point) => point.write !== undefined).map(({ name }) => name);
  for (const [index, name] of write.allow.entries()) {
    if (open.includes(name)) continue;
    const isKnown = points.some((point) => point.name === name);
    const message = isKnown
      ? `the profile does not let "${name}" be written`
      : `unknown point "${name}"${didYouMean(name, open)}`;
    document.mistake([...path, "write", "allow", index], "KERB-CFG-VALUE", message);
  }
  for (const name of Object.keys(write.limits ?? {})) {
    if (write.allow.includes(name)) continue;
    const message = `"${name}" is not under "allow"${didYouMean(name, write.allow)}`;
    document.mistake([...path, "write", "limits", name], "KERB-CFG-KEY", message, { at: "key" });
  }
}

/** `commands` names roles and devices that there are, and each issuer once. */
export function checkCommands(
  document: YamlDocument,
  commands: CommandsConfig | undefined,
  devices: readonly { id: string }[],
): void {
  if (commands === undefined) return;
  const wrong = (path: Path, message: string) => document.mistake(path, "KERB-CFG-VALUE", message);
  const roles = Object.keys(commands.roles);
  const ids = devices.map(({ id }) => id);
  for (const [index, issuer] of commands.issuers.entries()) {
    const at = ["commands", "issuers", index];
    if (commands.issuers.findIndex(({ id }) => id === issuer.id) !== index || issuer.id === "local")
      wrong(
        [...at, "id"],
        issuer.id === "local"
          ? '"local" is whoever operates the gateway on site'
          : `a second issuer "${issuer.id}"`,
      );
    for (const [i, name] of issuer.roles.entries())
      if (!roles.includes(name))
        wrong([...at, "roles", i], `unknown role "${name}"${didYouMean(name, roles)}`);
  }
  for (const [name, given] of Object.entries(commands.roles))
    for (const [i, id] of given.devices.entries())
      if (!ids.includes(id))
        wrong(["commands", "roles", name, "devices", i], `unknown device "${id}"${didYouMean(id, ids)}`);
}

/** Devices of a site that could not be read must not make every role wrong as well. */
export function isWhole(document: YamlDocument, devices: readonly unknown[]): boolean {
  const listed = valueAt(document.value, ["devices"]);
  return !Array.isArray(listed) || devices.length >= listed.length;
}
