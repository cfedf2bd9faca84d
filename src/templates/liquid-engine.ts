// Liquid as templates may use it: no file system (partials are texts of the template itself), own properties only, limits
// on everything. In HTML every output is escaped unless it ends in `raw` (or was escaped already). Tags that write values
// past that escaping (`echo`, `cycle`), that change the data (`increment`, `decrement`) or that share variables with
// another text (`include`) do not exist here.

import { Context, type Emitter, filters, type FS, Liquid, type Template, toValue, toValueSync } from "liquidjs";
import { type MergeData, PART_CHARS_MAX, RENDERED_CHARS_MAX, type TemplateSource } from "./compiled-template.ts";
import { formatFilters } from "./format-filters.ts";
import { partialFile, PARTIALS_MAX } from "./partial-files.ts";

export type PartKind = "text" | "html";

/** What of a template reaches into its rendering. */
export type EngineSetting = Pick<TemplateSource, "partials" | "locale" | "time_zone">;

/** One for each setting; make it once per template. The one without a setting is shared. */
export function liquidFor(kind: PartKind, setting: EngineSetting = {}): Liquid {
  const { partials, locale, time_zone } = setting;
  if (partials === undefined && locale === undefined && time_zone === undefined) return ENGINES[kind];
  return createEngine(kind, setting);
}

/**
 * Where a part's variables and limits are kept while it is filled in. Strictly, a variable that is not there is an error,
 * unless `default` or a condition says that it may be missing.
 */
export function openContext(engine: Liquid, data: MergeData, isStrict = false): Context {
  // Partials see the message's data by `globals`, and nothing that the text around them assigns.
  const globals = PARTIAL_ENGINES.has(engine) ? { globals: data } : {};
  return new Context(data, engine.options, { sync: true, ...globals, strictVariables: isStrict }, { liquid: engine });
}

/** Fills the nodes in, all at once. */
export function renderNodes(engine: Liquid, nodes: Template[], data: MergeData, isStrict = false): string {
  return renderInContext(engine, nodes, openContext(engine, data, isStrict));
}

/** Fills the nodes in. Throws what Liquid throws, and when the result gets longer than `RENDERED_CHARS_MAX`. */
export function renderInContext(engine: Liquid, nodes: Template[], context: Context): string {
  const emitter = new LimitedEmitter();
  toValueSync(engine.renderer.renderTemplates(nodes, context, emitter));
  return emitter.buffer;
}

/** What an output becomes: nothing for nil, the elements of a list behind one another, else the value's text. */
export function printValue(value: unknown): string {
  if (typeof value === "string") return value;
  const plain: unknown = toValue(value);
  if (plain === null || plain === undefined) return "";
  // An object prints as JavaScript prints it, since Liquid does the same.
  return Array.isArray(plain) ? plain.map(printValue).join("") : `${plain as string}`;
}

/** Milliseconds for one part of one message; an ordinary one takes a hundredth of one. */
const RENDER_MS_MAX = 1_000;
/** Liquid's count of characters and list elements that filters and ranges make. */
const MEMORY_MAX = 5_000_000;

const TAGS = [
  "assign",
  "block",
  "break",
  "capture",
  "case",
  "comment",
  "continue",
  "for",
  "if",
  "layout",
  "liquid",
  "raw",
  "render",
  "tablerow",
  "unless",
  "#",
];

/** After these the output is escaped, so that it is not escaped again. */
const ESCAPING_FILTERS = ["escape", "escape_once", "xml_escape"] as const;

/** Those whose templates have partials. */
const PARTIAL_ENGINES = new WeakSet<Liquid>();

function createEngine(kind: PartKind, { partials = {}, locale = "en", time_zone = "UTC" }: EngineSetting): Liquid {
  const engine = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    lenientIf: true,
    fs: partialFiles(kind, partials),
    root: ["."],
    relativeReference: false,
    cache: 2 * PARTIALS_MAX,
    locale,
    // Dates in UTC, whatever machine they are rendered on.
    timezoneOffset: 0,
    parseLimit: 2 * PART_CHARS_MAX,
    renderLimit: RENDER_MS_MAX,
    memoryLimit: MEMORY_MAX,
    ...(kind === "html" ? { outputEscape: "escape" as const } : {}),
  });
  if (Object.keys(partials).length > 0) PARTIAL_ENGINES.add(engine);
  for (const name of Object.keys(engine.tags)) if (!TAGS.includes(name)) delete engine.tags[name];
  for (const name of ESCAPING_FILTERS) engine.registerFilter(name, { raw: true, handler: handlerOf(name) });
  for (const name of PROPERTY_FILTERS) engine.registerFilter(name, withShortArguments(name));
  engine.registerFilter("slice", sliceByNumbers);
  const formats = formatFilters({ locale, timeZone: time_zone });
  for (const [name, handler] of Object.entries(formats)) engine.registerFilter(name, handler);
  return engine;
}

function handlerOf(name: keyof typeof filters) {
  const filter = filters[name];
  if (typeof filter !== "function") throw new Error(`Liquid's filter ${name} is no function`);
  return filter;
}

/**
 * Their first arguments name a property, or are a short expression, which Liquid reads anew for each element, without a
 * look at its limits: a list of 100,000 elements that is given for one took more than 25 s.
 */
const PROPERTY_FILTERS = [
  "map",
  "sort",
  "sort_natural",
  "sum",
  "where",
  "where_exp",
  "reject",
  "reject_exp",
  "group_by",
  "group_by_exp",
  "has",
  "has_exp",
  "find",
  "find_exp",
  "find_index",
  "find_index_exp",
] as const;

/** Longer than any path of names and any condition that somebody writes. */
const PROPERTY_CHARS_MAX = 1_000;

type Filter = Extract<Parameters<Liquid["registerFilter"]>[1], (...args: never[]) => unknown>;

function withShortArguments(name: (typeof PROPERTY_FILTERS)[number]): Filter {
  const handler = handlerOf(name);
  const readCount = name.endsWith("_exp") ? 2 : 1;
  return function (value, ...args) {
    for (const given of args.slice(0, readCount)) {
      const isShort = !isListOrObject(toValue(given)) && printValue(given).length <= PROPERTY_CHARS_MAX;
      if (!isShort) throw new Error(`${name} wants a name of at most ${PROPERTY_CHARS_MAX} characters`);
    }
    return handler.call(this, value, ...args);
  };
}

/** Liquid compares each of a text's characters with the numbers as they are given: digits are read once, here. */
const sliceByNumbers: Filter = function (value, begin, length = 1) {
  return handlerOf("slice").call(this, value, Number(toValue(begin)), Number(toValue(length)));
};

const isListOrObject = (value: unknown): boolean => typeof value === "object" && value !== null;

/** Liquid's file system: the template's own partials and nothing else. */
function partialFiles(kind: PartKind, partials: Readonly<Record<string, string>>): FS {
  const read = (path: string): string => {
    const text = partials[path.slice(PARTIALS_DIR.length)];
    if (text === undefined) throw new Error(`there is no partial ${path}`);
    return text.replace(/\r\n?/g, "\n");
  };
  const exists = (path: string): boolean => Object.hasOwn(partials, path.slice(PARTIALS_DIR.length));
  return {
    resolve: (_dir, name) => PARTIALS_DIR + (partialFile(partials, name, kind) ?? name),
    existsSync: exists,
    readFileSync: read,
    exists: async (path) => exists(path),
    readFile: async (path) => read(path),
  };
}

const PARTIALS_DIR = "partials/";

/** After everything that making them needs. */
const ENGINES: Readonly<Record<PartKind, Liquid>> = {
  text: createEngine("text", {}),
  html: createEngine("html", {}),
};

class LimitedEmitter implements Emitter {
  buffer = "";

  write(value: unknown): void {
    this.buffer += printValue(value);
    if (this.buffer.length > RENDERED_CHARS_MAX)
      throw new Error(`the rendered part has more than ${RENDERED_CHARS_MAX} characters`);
  }
}
