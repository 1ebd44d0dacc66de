import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Site } from "../config.ts";
import { ConfigError, type Diagnostic } from "../errors.ts";

/** What the child sends back. */
export interface Loaded {
  site?: Site;
  diagnostics?: Diagnostic[];
  error?: string;
}

/**
 * `loadSite` in a process of its own that ends: the YAML parser, the schemas and the drivers' settings cost 60 MB
 * that a gateway would otherwise keep for as long as it runs. Throws what `loadSite` throws.
 */
export async function loadSiteApart(file: string): Promise<Site> {
  const child = fork(fileURLToPath(new URL("main.ts", import.meta.url)), [file], { execArgv: [] });
  const { site, diagnostics, error } = await new Promise<Loaded>((resolve, reject) => {
    child.once("message", (message) => resolve(message as Loaded));
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`the configuration check ended without a word (${signal ?? code})`)),
    );
  });
  if (site !== undefined) return site;
  throw diagnostics === undefined ? new Error(error) : new ConfigError(diagnostics);
}
