import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pack, unpack } from "../gateway/archive.ts";
import { ownerOf } from "../gateway/outbox/owner.ts";
import { OutboxStore } from "../gateway/outbox/store.ts";
import { run as kerb } from "./cli-said.ts";

/** `kerb restore` where something is in the way, and from a file that somebody has tampered with. */

let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kerb-restore-"));
  mkdirSync(join(folder, "old", "devices.d"), { recursive: true });
  mkdirSync(join(folder, "new", "devices.d"), { recursive: true });
  writeFileSync(
    join(folder, "old", "gateway.yaml"),
    "version: 1\ngateway: { id: gw-01, name: Tủ, city: test, state: ./state }\ninclude: [devices.d/*.yaml]\n",
  );
  writeFileSync(join(folder, "old", "devices.d", "a.yaml"), "devices: []\n");
  const made = await kerb("backup", join(folder, "box.kerb"), "--site", join(folder, "old", "gateway.yaml"));
  expect(made).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const restore = (name: string, ...more: string[]) =>
  kerb("restore", join(folder, name), "--site", join(folder, "new", "gateway.yaml"), "--yes", ...more);

it("overwrites nothing that says something else, and with --force puts it aside", async () => {
  const own = join(folder, "new", "devices.d", "a.yaml");
  writeFileSync(own, "# mine\n");
  expect(await restore("box.kerb")).toMatchObject({ code: 7, err: expect.stringContaining("a.yaml") });
  expect(readdirSync(join(folder, "new"))).toEqual(["devices.d"]);
  expect(await restore("box.kerb", "--force")).toMatchObject({ code: 0 });
  expect(readFileSync(own, "utf8")).toBe("devices: []\n");
  const [, aside = ""] = readdirSync(join(folder, "new", "devices.d"));
  expect(readFileSync(join(folder, "new", "devices.d", aside), "utf8")).toBe("# mine\n");
});

it("leaves what is there as it is when the backup is none", async () => {
  const files = unpack(readFileSync(join(folder, "box.kerb")));
  const evil = [...files, { name: "state/authorized_keys", bytes: Buffer.from("x") }];
  writeFileSync(join(folder, "evil.kerb"), pack(evil, 0));
  const unsaid = files.filter(({ name }) => name !== "config/gateway.yaml");
  writeFileSync(join(folder, "unsaid.kerb"), pack(unsaid, 0));
  writeFileSync(join(folder, "new", "gateway.yaml"), "as it was");
  for (const name of ["evil.kerb", "unsaid.kerb"])
    expect(await restore(name, "--force")).toMatchObject({ code: 2 });
  expect(readFileSync(join(folder, "new", "gateway.yaml"), "utf8")).toBe("as it was");
});

it("does not lay a box over the state folder of another, and keeps the id of a box that is replaced", async () => {
  const site = join(folder, "stock", "gateway.yaml");
  const queue = join(folder, "stock", "state", "outbox.db");
  mkdirSync(join(folder, "stock", "state"), { recursive: true });
  new OutboxStore({ path: queue, bytesMax: 1 << 24, gateway: "in-stock" }).close();
  const args = ["restore", join(folder, "box.kerb"), "--site", site, "--yes"];
  const refused = await kerb(...args, "--json");
  expect(refused.code).toBe(7);
  expect(JSON.parse(refused.out)).toMatchObject({ error: { code: "KERB-OUT-OWNER" } });
  expect((await kerb(...args, "--lang", "vi")).err).toMatch(/thuộc gateway "in-stock", .* của "gw-01"/);
  expect(existsSync(site)).toBe(false);
  rmSync(join(folder, "stock"), { recursive: true });
  expect(await kerb(...args)).toMatchObject({ code: 0 });
  expect(ownerOf(queue)).toBe("gw-01");
  expect(() => new OutboxStore({ path: queue, bytesMax: 1 << 24, gateway: "in-stock" })).toThrow("gw-01");
});
