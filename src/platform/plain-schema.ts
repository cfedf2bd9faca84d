// The words in which the configuration's schema and those of the HTTP door are written: schemas as plain data, with the type
// of what they let through. A subset of JSON Schema by the names that typebox has for it, which took as long to load as all
// the rest of a short command together (docs/decisions/0025).

declare const letThrough: unique symbol;
/** A symbol, so that it is in no document. */
const OPTIONAL = Symbol("optional");

export interface Schema<Value> extends SchemaNode {
  /** Never there: it carries the type. */
  readonly [letThrough]?: Value;
}

interface OptionalSchema<Value> extends Schema<Value> {
  readonly [OPTIONAL]: true;
}

/** What a schema lets through. */
export type Static<Given> = Given extends Schema<infer Value> ? Value : never;

/** A schema as data, as far as checking and documents look into it. */
export interface SchemaNode {
  readonly type?: "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean;
  readonly items?: SchemaNode;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly anyOf?: readonly SchemaNode[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  /** For the OpenAPI document. */
  readonly $id?: string;
  readonly title?: string;
  readonly description?: string;
  /** Of the configuration, beside all others. */
  readonly accepts?: (text: string) => boolean;
  readonly expected?: string;
  readonly expectedName?: string;
  readonly isSecret?: boolean;
}

export type Properties = Readonly<Record<string, SchemaNode>>;

type OptionalKeys<Given extends Properties> = {
  [Key in keyof Given]: Given[Key] extends { readonly [OPTIONAL]: true } ? Key : never;
}[keyof Given];

type Mapped<Given extends Properties> = {
  -readonly [Key in Exclude<keyof Given, OptionalKeys<Given>>]: Static<Given[Key]>;
} & { -readonly [Key in OptionalKeys<Given>]?: Static<Given[Key]> };

type Options = Pick<SchemaNode, "$id" | "title" | "description" | "expected" | "expectedName" | "isSecret">;
type ObjectOptions = Options & Pick<SchemaNode, "additionalProperties">;

/** Of a record whose keys may be anything. */
export const ANY_KEY = "^.*$";

export const Type = {
  Unknown: (options: Options = {}): Schema<unknown> => ({ ...options }),
  Null: (options: Options = {}): Schema<null> => ({ type: "null", ...options }),
  Boolean: (options: Options = {}): Schema<boolean> => ({ type: "boolean", ...options }),
  Number: (options: Options & Pick<SchemaNode, "minimum" | "maximum"> = {}): Schema<number> => ({
    type: "number",
    ...options,
  }),
  Integer: (options: Options & Pick<SchemaNode, "minimum" | "maximum"> = {}): Schema<number> => ({
    type: "integer",
    ...options,
  }),
  String: (options: Options & Pick<SchemaNode, "pattern" | "minLength" | "maxLength"> = {}): Schema<string> => ({
    type: "string",
    ...options,
  }),
  Literal: <const Word extends string>(word: Word, options: Options = {}): Schema<Word> => ({
    type: "string",
    const: word,
    ...options,
  }),
  Enum: <const Word extends string>(words: readonly Word[], options: Options = {}): Schema<Word> => ({
    type: "string",
    enum: words,
    ...options,
  }),
  Refine: (schema: Schema<string>, accepts: (text: string) => boolean): Schema<string> => ({ ...schema, accepts }),
  Array: <Item extends SchemaNode>(
    items: Item,
    options: Options & Pick<SchemaNode, "minItems" | "maxItems"> = {},
  ): Schema<Static<Item>[]> => ({ type: "array", items, ...options }),
  Object: <const Given extends Properties>(
    properties: Given,
    options: ObjectOptions = {},
  ): Schema<Mapped<Given>> & { readonly properties: Given } => {
    const required = Object.keys(properties).filter((key) => !(OPTIONAL in properties[key]!));
    return { type: "object", ...(required.length > 0 ? { required } : {}), properties, ...options };
  },
  /** An object of which each key may be absent. */
  Partial: <const Given extends Properties>(properties: Given): Schema<Partial<Mapped<Given>>> => ({
    type: "object",
    properties,
  }),
  /** Keys by a pattern, all with values of one kind. */
  Record: <Value extends SchemaNode>(
    pattern: string,
    value: Value,
    options: Options = {},
  ): Schema<Record<string, Static<Value>>> => ({ type: "object", patternProperties: { [pattern]: value }, ...options }),
  Union: <const Branches extends readonly SchemaNode[]>(
    anyOf: Branches,
    options: Options = {},
  ): Schema<Static<Branches[number]>> => ({ anyOf, ...options }),
  Optional: <Given extends SchemaNode>(schema: Given): OptionalSchema<Static<Given>> => ({
    ...schema,
    [OPTIONAL]: true,
  }),
};

/** Of a schema without parts: whether it lets this value through. */
export function fits(node: SchemaNode, value: unknown): boolean {
  if (typeof value === "string") return node.type === "string" && fitsText(node, value);
  if (typeof value === "boolean") return node.type === "boolean";
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (node.type !== "number" && !(node.type === "integer" && Number.isInteger(value))) return false;
  return value >= (node.minimum ?? -Infinity) && value <= (node.maximum ?? Infinity);
}

function fitsText({ const: word, enum: words, pattern, minLength, maxLength, accepts }: SchemaNode, text: string) {
  if (word !== undefined && text !== word) return false;
  if (words !== undefined && !words.includes(text)) return false;
  if (text.length < (minLength ?? 0) || text.length > (maxLength ?? Infinity)) return false;
  if (pattern !== undefined && !new RegExp(pattern, "u").test(text)) return false;
  return accepts === undefined || accepts(text);
}
