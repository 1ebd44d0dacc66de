import { z } from "zod";
import { bare, type Definition, definition, inside } from "./schema-walk.ts";
import { listed, quoted } from "./words.ts";

function bounds(schema: Definition): string {
  let least: string | undefined;
  let most: string | undefined;
  for (const { _zod } of schema.checks ?? []) {
    const { check, value, inclusive } = _zod.def;
    if (check === "greater_than") least = inclusive === false ? `greater than ${value}` : String(value);
    if (check === "less_than") most = inclusive === false ? `less than ${value}` : String(value);
    if (check === "min_length") least = String(_zod.def.minimum);
    if (check === "max_length") most = String(_zod.def.maximum);
  }
  if (least?.startsWith("greater") === true || most?.startsWith("less") === true) {
    return ` ${[least, most].filter((one) => one !== undefined).join(" and ")}`;
  }
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (least !== undefined) return ` of at least ${least}`;
  return most === undefined ? "" : ` of at most ${most}`;
}

/** "a whole number from 0 to 255": what a schema takes, in words. */
export function expectation(schema: z.ZodType): string {
  const examples = z.globalRegistry.get(schema)?.["examples"];
  if (Array.isArray(examples)) return `text such as ${quoted(String(examples[0]))}`;
  const next = inside(schema);
  if (next !== undefined) return expectation(next);
  const of = definition(schema);
  const whole =
    of.format?.includes("int") === true || of.checks?.some(({ _zod }) => _zod.def.check === "number_format");
  switch (of.type) {
    case "string":
      return bounds(of) === "" ? "text" : `text${bounds(of).replace(" from ", " of ")} characters`;
    case "number":
      return `a ${whole === true ? "whole " : ""}number${bounds(of)}`;
    case "boolean":
      return "true or false";
    case "literal":
      return listed(of.values ?? []);
    case "enum":
      return listed(Object.values(of.entries ?? {}));
    case "array":
      return bounds(of) === "" ? "a list" : `a list${bounds(of)} entries`;
    case "tuple":
      return `a list of ${of.items?.length} values`;
    case "object":
      return keysAndValues(Object.keys(of.shape ?? {}));
    case "record":
      return "keys and values";
    case "union":
      return expectations(of.options ?? []);
    default:
      return "another value";
  }
}

function keysAndValues(keys: readonly string[]): string {
  return `keys and values (${keys.slice(0, 12).join(", ")}${keys.length > 12 ? ", …" : ""})`;
}

function expectations(options: readonly z.ZodType[]): string {
  const parts = options.map((option) => ({ option, ...definition(bare(option)) }));
  const literals = parts.flatMap(({ type, values }) => (type === "literal" ? (values ?? []) : []));
  const shapes = parts.flatMap(({ type, shape }) =>
    type === "object" && shape !== undefined ? [shape] : [],
  );
  const shared = Object.keys(shapes[0] ?? {}).filter((key) => shapes.every((shape) => key in shape));
  const others = parts
    .filter(({ type }) => type !== "literal" && type !== "object")
    .map(({ option }) => expectation(option));
  return [
    ...(literals.length > 0 ? [listed(literals)] : []),
    ...new Set(others),
    ...(shapes.length > 0 ? [keysAndValues(shared)] : []),
  ].join(" or ");
}
