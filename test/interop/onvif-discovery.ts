import { createSocket } from "node:dgram";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { discovery } from "../../drivers/onvif/discover.ts";
import { answerProbes } from "../../simulators/onvif/discovery.ts";
import { start } from "../../simulators/onvif/index.ts";

/**
 * Runs in a network namespace of its own: a camera and twelve liars answer probes on the loopback. Prints what the
 * driver finds, who was contacted, and what onvif-util says (where it is installed), as one line of JSON.
 */

const login = { user: "kerb", password: "Trial-7-only" };
const camera = await start({
  profile: "test/camera",
  identity: { vendor: "Kerb Works", model: "K-1", firmware: "2.1.8", serial: "A0042" },
  settings: { port: 8000, ...login },
  points: [],
  records: [],
});
const ends = [await answerProbes("127.0.0.1", ["http://127.0.0.1:8000/onvif/device_service"], "Cong vien")];

let contacts = 0;
const trap = createServer((socket) => {
  contacts++;
  socket.destroy();
}).listen(9999, "127.0.0.1");
await once(trap, "listening");
const lies = [
  "http://169.254.169.254/latest/meta-data",
  "http://127.0.0.1:9999/onvif/device_service",
  "http://10.0.0.1/",
  "https://127.0.0.1:9999/",
  "file:///etc/passwd",
  "http://[::1]:9999/",
  "http://localhost:9999/",
  "gopher://127.0.0.1:9999/",
  "http://127.0.0.1@10.9.9.9:9999/",
  "nonsense",
  "",
  `http://127.0.0.1:9999/${"a".repeat(3000)}`,
];
for (const [i, lie] of lies.entries()) ends.push(await answerProbes(`127.0.0.${i + 10}`, [lie], "liar"));
// What is no answer at all must not end the process.
const noise = createSocket({ type: "udp4", reuseAddr: true });
noise.on("message", (_, asker) => {
  for (const junk of ["garbage", "", "<a>", "<e:Envelope><e:Body><ProbeMatches/></e:Body></e:Envelope>"])
    noise.send(junk, asker.port, asker.address);
});
noise.bind(3702);
await once(noise, "listening");
noise.addMembership("239.255.255.250", "127.0.0.1");

const found: unknown[] = [];
const range = {
  has: (address: string) => address.startsWith("127."),
  own: ["127.0.0.1"],
  isTaken: () => false,
};
const look = { signal: new AbortController().signal, forMs: 3000, tell: () => {} };
for await (const { at, identity } of discovery.onNetwork!(range, look)) found.push({ ...at, ...identity });
noise.close();
const asked = { contacts, requests: camera.counts.requests };
/** What onvif-util says; nothing where it is not installed. */
async function util(words: string[], commands: string): Promise<string> {
  let said = "";
  const child = spawn("onvif-util", words, { timeout: 20_000 });
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.end(commands);
  await once(child, "close").catch(() => {});
  return said;
}
const { user, password } = login;
// Lies are more than it can take.
for (const end of ends.splice(1)) await end();
const foreign = await util(["-u", user, "-p", password, "127.0.0.1"], "get profiles\nquit\n");
console.log(JSON.stringify({ found, ...asked, foreign }));
for (const end of ends) await end();
trap.close();
await camera.close();
