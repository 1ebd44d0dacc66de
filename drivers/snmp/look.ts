import { DeviceError, type Facts, type Inquiry } from "../../gateway/driver.ts";
import { Client } from "./client.ts";
import { Peer } from "./peer.ts";
import type { Settings } from "./settings.ts";

/** What else an SNMP agent answers to. */

const askMsUsual = 600;
/** sysUpTime: every agent has it, and in most views everybody may read it (RFC 3418). */
const upTime = "1.3.6.1.2.1.1.3.0";

/** Whether anything answers under these settings, and be it with a refusal. */
async function answers(settings: Settings, signal: AbortSignal): Promise<boolean> {
  const where = `${settings.host}:${settings.port}`;
  let client: Client | undefined;
  try {
    client = new Client(await Peer.connect(settings.host, settings.port, where, signal), settings, where);
    await client.get([upTime], signal);
    return true;
  } catch (error) {
    return !(error instanceof DeviceError) || error.code === "denied" || error.code === "garbage";
  } finally {
    client?.close();
  }
}

/** An agent that knows no such community is silent; it may still speak another version, or say "unknown user". */
export async function look(
  settings: Settings,
  { failure, askMs = askMsUsual, signal }: Inquiry<Settings>,
): Promise<Facts> {
  if (failure.code !== "silent") return {};
  const { security: _, ...rest } = settings;
  const quick = { ...rest, timeout: askMs };
  if (settings.version !== "3") {
    const other = settings.version === "1" ? "2c" : "1";
    if (await answers({ ...quick, version: other }, signal))
      return { "snmp.answersVersion": other, rung: "protocol" };
    const nobody = { user: "kerb-probe" } as NonNullable<Settings["security"]>;
    const isThere = await answers({ ...quick, version: "3", security: nobody }, signal);
    return isThere ? { "snmp.answersVersion3": true, rung: "login" } : {};
  }
  return {};
}
