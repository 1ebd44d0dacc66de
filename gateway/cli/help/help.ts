import type { Argument, Command, Help, Option } from "commander";

/** `kerb VERB --help` in Vietnamese. Verbs are registered in English; only their help is in two languages. */

/** Commander's own words. */
const titles: Record<string, string> = {
  "Usage:": "Cách dùng:",
  "Arguments:": "Tham số:",
  "Options:": "Tùy chọn:",
  "Commands:": "Lệnh con:",
};

/** "(choices: "5", "3.1.1", default: "5", env: KERB_PASSWORD)" */
function shownExtra(one: Option | Argument): string {
  const { argChoices, defaultValue } = one;
  const envVar = "envVar" in one ? one.envVar : undefined;
  const parts = [
    argChoices === undefined
      ? undefined
      : `chọn: ${argChoices.map((choice) => JSON.stringify(choice)).join(", ")}`,
    defaultValue === undefined ? undefined : `mặc định: ${JSON.stringify(defaultValue)}`,
    envVar === undefined ? undefined : `biến môi trường: ${envVar}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}

/** Every text of a command and those below it that people read in its help. */
export function helpTexts(command: Command): string[] {
  return [
    ...command.registeredArguments.map(({ description }) => description),
    ...command.options.map(({ description }) => description),
    ...command.commands.flatMap((inner) => [inner.description(), ...helpTexts(inner)]),
  ].filter((text) => text !== "");
}

function translate(command: Command, texts: Readonly<Record<string, string>>): void {
  const said = (text: string) => texts[text] ?? text;
  const described = (one: Option | Argument) => said(one.description) + shownExtra(one);
  command.configureHelp({
    styleTitle: (title) => titles[title] ?? title,
    optionDescription: described,
    argumentDescription: described,
    commandUsage: usageLine,
    subcommandTerm: (one) => inVietnamese(`${one.name()} ${one.usage()}`),
  } satisfies Partial<Help>);
  command.helpOption("-h, --help", said("display help for command"));
  for (const inner of command.commands) {
    inner.description(said(inner.description()));
    translate(inner, texts);
  }
}

/** "kerb profile new [tùy chọn] [profile]" */
function usageLine(command: Command): string {
  const names: string[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) names.unshift(one.name());
  return inVietnamese(`${names.join(" ")} ${command.usage()}`);
}

function inVietnamese(usage: string): string {
  return usage.replace("[options]", "[tùy chọn]").replace("[command]", "[lệnh con]");
}

/** Makes the help Vietnamese, where one is asked for. */
export async function helpInVietnamese(program: Command, args: readonly string[]): Promise<void> {
  if (!args.some((one) => one === "--help" || one === "-h")) return;
  const { vietnameseHelp } = await import("./help-words.ts");
  translate(program, vietnameseHelp);
}
