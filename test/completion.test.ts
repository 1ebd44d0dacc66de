import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "./ports.ts";
import { folder, kerb, kerbProgram, root, siteFile } from "./cli-rig.ts";

/** What Tab offers, in real shells where they are installed. */

const line = (...words: string[]) => ["__complete", ...words];
const offered = (...words: string[]): string[] =>
  kerb(line(...words))
    .out.trimEnd()
    .split("\n")
    .map((text) => text.split("\t")[0] ?? "");

/** What bash would put on the line when Tab is pressed behind these words. */
function bashOffers(words: string[]): string[] {
  const script = `
    PATH="$1/gateway:$PATH"; source <(kerb completion bash)
    shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kerb
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script, "bash", root, ...words], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", HOME: folder },
    cwd: folder,
  });
  return [
    ...stdout.split("\n").filter((text) => text !== ""),
    ...stderr.split("\n").filter((text) => text !== ""),
  ];
}

/** What fish would offer behind this text. */
function fishOffers(text: string): string[] {
  const script = `set -x PATH ${root}/gateway $PATH; kerb completion fish | source; complete -C ${JSON.stringify(text)}`;
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder };
  const { stdout, stderr } = spawnSync("fish", ["-c", script], { encoding: "utf8", env, cwd: folder });
  return `${stdout}${stderr}`.split("\n").flatMap((one) => one.split("\t")[0] || []);
}

/**
 * What stands on the line after Tab in an interactive zsh on a terminal of its own; a key of the test's own prints the
 * line, because what zsh draws is not what stands there.
 */
function zshLine(text: string): string {
  const script = String.raw`
    zmodload zsh/zpty
    zpty shell zsh -f -i
    zpty -w shell "PATH=$1/gateway:\$PATH; autoload -U compinit; compinit -u -D; source <(kerb completion zsh)"
    zpty -w shell 'told() { zle -I; print -r -- "=LI""NE=$BUFFER=E""ND=" }; zle -N told; bindkey "^G" told; print "=REA""DY="'
    zpty -r -m shell seen "*=READY=*" || exit 1
    zpty -w -n shell "$2"$'\t\a'
    zpty -r -m shell seen "*=LINE=*=END=*" || exit 1
    print -r -- "$seen"
    zpty -d shell`;
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, TERM: "xterm", LANG: "C.UTF-8" };
  const { stdout, stderr } = spawnSync("zsh", ["-f", "-c", script, "zsh", root.replace(/\/$/, ""), text], {
    encoding: "utf8",
    env,
    cwd: folder,
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  return /=LINE=(.*)=END=/.exec(stdout)?.[1] ?? `${stdout}${stderr}`;
}

describe("completion", () => {
  it("offers no word that a shell would carry out, and ends where files include each other", () => {
    const site = join(folder, "hostile.yaml");
    const ids = ["ok-01", "$(touch x)", "`id`", "a;id", "a b", "a'b", "a\u001b[2Jb"];
    const devices = ids.map((id) => `  - { id: ${JSON.stringify(id)}, name: "n\\e]0;x\\a" }`).join("\n");
    writeFileSync(site, `include: [hostile-*.yaml]\n`);
    for (const name of ["hostile-a.yaml", "hostile-b.yaml"])
      writeFileSync(join(folder, name), `include: [hostile-*.yaml]\ndevices:\n${devices}\n`);
    const { out } = kerb(line("read", "--site", site, ""));
    expect(out).toBe("words\nok-01\tn\ufffd]0;x\ufffd\nok-01\tn\ufffd]0;x\ufffd\n");
  }, 30_000);

  it("offers verbs, options, their values, profiles, codes and inner verbs", () => {
    expect(offered("sta")).toEqual(["words", "status"]);
    expect(offered("status", "--s")).toEqual(["words", "--site"]);
    expect(offered("tail", "--kind", "alar")).toEqual(["words", "alarm"]);
    expect(offered("simulate", "eastron/")).toContain("eastron/sdm630");
    expect(offered("explain", "kerb-dev-sil")).toEqual(["words", "KERB-DEV-SILENT"]);
    expect(offered("profile", "")).toEqual(["words", "lint", "new", "test"]);
    expect(offered("config", "check", "gate")).toEqual(["files"]);
    expect(kerb(line("--lang", "vi", "sta")).out).toContain("status\tgateway đang chạy");
  });

  it("offers devices of the site file, and points behind a device, without a gateway", () => {
    const file = siteFile("completion", { broker: 1883, meter: 502 });
    expect(offered("read", "--site", file, "")).toEqual(["words", "meter-01"]);
    expect(offered("read", "--site", file, "meter-01", "voltage.L1-N", "voltage.L")).toEqual([
      "words",
      "voltage.L1",
      "voltage.L2",
      "voltage.L3",
    ]);
    writeFileSync(file, `${readFileSync(file, "utf8")}    write: { allow: [frequency] }\n`);
    expect(offered("write", "--site", file, "meter-01", "")).toEqual(["nospace", "frequency="]);
    expect(offered("read", "--site", join(folder, "nowhere.yaml"), "")).toEqual(["words"]);
  });

  it("works in bash, with the devices of the running gateway", async () => {
    const file = siteFile("live", { broker: await freePort(), meter: await freePort() });
    const gateway = kerbProgram("run", file);
    await gateway.line(/is running/);
    // What the file says now is not what runs.
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("meter-01", "meter-99"));
    expect(bashOffers(["kerb", "read", "--site", file, "meter-"])).toEqual(["meter-01"]);
    expect(await gateway.stop()).toBe(0);
    expect(bashOffers(["kerb", "read", "--site", file, "meter-"])).toEqual(["meter-99"]);
    writeFileSync(join(folder, "a gateway.yaml"), "");
    expect(bashOffers(["kerb", "config", "check", "a "])).toEqual(["a gateway.yaml"]);
    expect(bashOffers(["kerb", "ver"])).toEqual(["version"]);
  }, 120_000);

  it("works in fish, with the devices of the running gateway", async ({ skip }) => {
    if (spawnSync("fish", ["--version"]).error !== undefined) {
      console.warn("skipped: fish is not installed");
      skip();
    }
    const file = siteFile("fish", { broker: await freePort(), meter: await freePort() });
    const gateway = kerbProgram("run", file);
    await gateway.line(/is running/);
    writeFileSync(file, readFileSync(file, "utf8").replace("meter-01", "meter-99"));
    // A busy gateway is not waited for: the file is read instead.
    await expect.poll(() => fishOffers(`kerb read --site ${file} meter-`)).toEqual(["meter-01"]);
    expect(await gateway.stop()).toBe(0);
    expect(fishOffers(`kerb read --site ${file} meter-`)).toEqual(["meter-99"]);
    expect(fishOffers("kerb ver")).toEqual(["version"]);
  }, 120_000);

  it("works in zsh, with the devices of the running gateway", async ({ skip }) => {
    if (spawnSync("zsh", ["-fc", "zmodload zsh/zpty"]).status !== 0) {
      console.warn("skipped: zsh is not installed");
      skip();
    }
    const file = siteFile("zsh", { broker: await freePort(), meter: await freePort() });
    const gateway = kerbProgram("run", file);
    await gateway.line(/is running/);
    writeFileSync(file, readFileSync(file, "utf8").replace("meter-01", "meter-99"));
    const typed = `kerb read --site ${file} meter-`;
    // A busy gateway is not waited for: the file is read instead.
    await expect.poll(() => zshLine(typed), { timeout: 60_000 }).toBe(`${typed}01 `);
    expect(await gateway.stop()).toBe(0);
    expect(zshLine(typed)).toBe(`${typed}99 `);
    expect(zshLine("kerb vers")).toBe("kerb version ");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, `${text}    write: { allow: [frequency] }\n`);
    // Its value follows without a blank.
    const write = `kerb write --site ${file} meter-99 fr`;
    expect(zshLine(write)).toBe(`${write}equency=`);
    writeFileSync(join(folder, "a gateway.yaml"), "");
    expect(zshLine("kerb config check a")).toBe(String.raw`kerb config check a\ gateway.yaml `);
  }, 120_000);

  it.each(["zsh", "fish"])("the script of %s is one that it can read", (shell) => {
    const script = join(folder, `kerb.${shell}`);
    writeFileSync(script, kerb(["completion", shell]).out);
    const { error, status, stderr } = spawnSync(shell, ["-n", script], { encoding: "utf8" });
    if (error !== undefined) return console.warn(`skipped: ${shell} is not installed`);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  it("refuses another shell", () => {
    const { code, err } = kerb(["completion", "tcsh", "--lang", "vi"]);
    expect(code).toBe(2);
    expect(err).toMatch(/không có phần điền nốt lệnh cho "tcsh"\n +cách xử lý +có cho bash, zsh, fish/);
  });
});
