// Liquid as templates may use it: no file system, no partials, own properties only, limits on everything. In HTML every
// output is escaped unless it ends in `raw` (or was escaped already). Tags that write values past that escaping (`echo`,
// `cycle`), that change the data (`increment`, `decrement`) or that read files do not exist here.

import { Context, type Emitter, filters, Liquid, type Template, toValue, toValueSync } from "liquidjs";
import { type MergeData, PART_CHARS_MAX, RENDERED_CHARS_MAX } from "./compiled-template.ts";

export type PartKind = "text" | "html";

export function liquidFor(kind: PartKind): Liquid {
  return ENGINES[kind];
}

/** Where a part's variables and limits are kept while it is filled in. */
export function openContext(engine: Liquid, data: MergeData): Context {
  return new Context(data, engine.options, { sync: true }, { liquid: engine });
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
  "break",
  "capture",
  "case",
  "comment",
  "continue",
  "for",
  "if",
  "liquid",
  "raw",
  "tablerow",
  "unless",
  "#",
];

/** After these the output is escaped, so that it is not escaped again. */
const ESCAPING_FILTERS = ["escape", "escape_once", "xml_escape"] as const;

const ENGINES: Readonly<Record<PartKind, Liquid>> = { text: createEngine("text"), html: createEngine("html") };

function createEngine(kind: PartKind): Liquid {
  const engine = new Liquid({
    ownPropertyOnly: true,
    strictFilters: true,
    templates: {},
    // Dates in UTC, whatever machine they are rendered on.
    timezoneOffset: 0,
    parseLimit: 2 * PART_CHARS_MAX,
    renderLimit: RENDER_MS_MAX,
    memoryLimit: MEMORY_MAX,
    ...(kind === "html" ? { outputEscape: "escape" as const } : {}),
  });
  for (const name of Object.keys(engine.tags)) if (!TAGS.includes(name)) delete engine.tags[name];
  for (const name of ESCAPING_FILTERS) engine.registerFilter(name, { raw: true, handler: handlerOf(name) });
  return engine;
}

function handlerOf(name: (typeof ESCAPING_FILTERS)[number]) {
  const filter = filters[name];
  if (typeof filter !== "function") throw new Error(`Liquid's filter ${name} is no function`);
  return filter;
}

class LimitedEmitter implements Emitter {
  buffer = "";

  write(value: unknown): void {
    this.buffer += printValue(value);
    if (this.buffer.length > RENDERED_CHARS_MAX)
      throw new Error(`the rendered part has more than ${RENDERED_CHARS_MAX} characters`);
  }
}
