import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Site } from "../config/config.ts";
import type { CommandedGateway, Commanding } from "./commanding.ts";

/**
 * Whoever commands this gateway, its code loaded only now. undefined: nothing of this site may be written, nor was
 * anything that may have to go back.
 */
export async function loadCommanding(site: Site, gateway: CommandedGateway): Promise<Commanding | undefined> {
  const isOpen = isWritable(site);
  if (!isOpen && !(await isThere(join(site.gateway.stateFolder, "commands")))) return undefined;
  const loaded = await import("./commanding.ts");
  return new loaded.Commanding(site, gateway, isOpen);
}

/** Whether anything of this site may be written. */
export function isWritable({ commands, devices }: Site): boolean {
  return commands.issuers.length > 0 || devices.some(({ write }) => (write?.allow.length ?? 0) > 0);
}

function isThere(folder: string): Promise<boolean> {
  return stat(folder).then(
    () => true,
    () => false,
  );
}
