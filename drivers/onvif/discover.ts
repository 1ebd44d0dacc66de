import { BlockList, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { DeviceError, type DriverContext, type Identity } from "../../gateway/driver.ts";
import type { Settings } from "./settings.ts";
import { all, at, isTree, parse, textAt } from "./soap.ts";

/** WS-Discovery: who answers a probe on the networks of this box. The only part that the `onvif` package does. */

const probeMs = 3000;
const foundMax = 500;

interface Sender {
  address: string;
}

/** The package's singleton, as far as it is used. */
interface Discovery {
  on(name: "device", listener: (device: unknown, sender: Sender, xml: string) => void): void;
  on(name: "error", listener: () => void): void;
  removeListener(name: "device" | "error", listener: (...values: never[]) => void): void;
  probe(options: { timeout: number; resolve: false; device?: string }, done: () => void): void;
}

/** The addresses of a CIDR, as `net` checks them. */
function scopeOf(scope: string): BlockList {
  const [, network = "", bits = "32"] = /^([\d.]+)(?:\/(\d{1,2}))?$/.exec(scope) ?? [];
  if (!isIPv4(network) || Number(bits) > 32)
    throw new DeviceError("unsupported", `"${scope}" is no network such as 192.168.1.0/24`);
  const list = new BlockList();
  list.addSubnet(network, Number(bits), "ipv4");
  return list;
}

function scopesOf(match: unknown): Identity {
  const scopes = textAt(match, "Scopes")?.split(/\s+/) ?? [];
  const named = (kind: string): string | undefined => {
    const scope = scopes.find((one) => one.startsWith(`onvif://www.onvif.org/${kind}/`));
    try {
      return scope === undefined ? undefined : decodeURIComponent(scope.split("/")[4] ?? "").slice(0, 200);
    } catch {
      return undefined;
    }
  };
  const [vendor, model] = [named("name"), named("hardware")];
  return { ...(vendor === undefined ? {} : { vendor }), ...(model === undefined ? {} : { model }) };
}

/** What a match says, with the sender as the only machine; undefined: nothing of use. */
export function foundIn(xml: string, sender: string): { settings: Settings; identity: Identity } | undefined {
  try {
    const match = all(at(parse(xml), "ProbeMatches"), "ProbeMatch")[0];
    if (!isTree(match)) return undefined;
    const urls = (textAt(match, "XAddrs") ?? "").split(/\s+/).flatMap((text) => URL.parse(text) ?? []);
    // An address of another machine is a lie or a NAT: neither can be followed.
    const owns = urls.filter(({ hostname }) => hostname === sender);
    const own = ["https:", "http:"].flatMap((one) => owns.find(({ protocol }) => protocol === one) ?? [])[0];
    if (own === undefined) return undefined;
    return {
      settings: {
        host: sender,
        port: Number(own.port || (own.protocol === "https:" ? 443 : 80)),
        ports: [],
        // Which certificate is the right one a probe cannot tell: the first connection asks for its pin.
        ...(own.protocol === "https:" ? { tls: {} } : {}),
        auth: "auto",
        timeout: 4000,
        pull: 20_000,
        batch: 20,
        lifetime: 60_000,
        termination: "absolute",
        rtspProbe: true,
        servicePath: own.pathname.slice(0, 200),
      },
      identity: scopesOf(match),
    };
  } catch {
    return undefined;
  }
}

/** The interfaces of this box that lie in a network: the probe goes there and nowhere else. */
function interfacesIn(list: BlockList): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.some(({ family, address }) => family === "IPv4" && list.check(address)) ? [name] : [],
  );
}

/** Cameras that answer a probe from inside `scope`, a CIDR that this box is in. Read-only, three seconds. */
export async function* discover(
  scope: string,
  context: DriverContext,
  signal: AbortSignal,
): AsyncIterable<{ settings: Settings; identity: Identity }> {
  const list = scopeOf(scope);
  const [device] = interfacesIn(list);
  if (device === undefined) throw new DeviceError("unreachable", `this machine has no address in ${scope}`);
  const library = (await import("onvif")) as unknown as { default: { Discovery: Discovery } };
  const discovery = library.default.Discovery;
  const queue: { settings: Settings; identity: Identity }[] = [];
  const seen = new Set<string>();
  const state = { isOver: false, wake: (): void => {} };
  const hear = (_device: unknown, sender: Sender, xml: string): void => {
    if (seen.has(sender.address) || seen.size >= foundMax || !list.check(sender.address)) return;
    const found = xml.length < 65_536 ? foundIn(xml, sender.address) : undefined;
    if (found === undefined) return;
    seen.add(sender.address);
    queue.push(found);
    state.wake();
  };
  let strays = 0;
  // Without a listener any stray packet would end the process.
  const stray = (): void => void strays++;
  const end = (): void => {
    state.isOver = true;
    state.wake();
  };
  discovery.on("error", stray);
  discovery.on("device", hear);
  signal.addEventListener("abort", end, { once: true });
  discovery.probe({ timeout: probeMs, resolve: false, device }, () => {
    // Only now: its socket may bring errors until it is closed.
    discovery.removeListener("error", stray);
    end();
  });
  try {
    while (!state.isOver || queue.length > 0) {
      yield* queue.splice(0);
      if (!state.isOver) await new Promise<void>((resolve) => (state.wake = resolve));
    }
    if (signal.aborted) throw new DeviceError("aborted", "the search was given up");
    if (strays > 0) context.log("debug", `${strays} packets that are no answer to a probe`);
  } finally {
    discovery.removeListener("device", hear);
    signal.removeEventListener("abort", end);
  }
}
