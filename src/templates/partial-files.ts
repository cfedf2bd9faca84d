// Partials and layouts of a template: texts by file name. `{% render 'footer' %}` takes `footer.html` in HTML parts and
// `footer.txt` in text, subject and headers; `footer.liquid` serves both. They are looked up by name in the template
// itself, never on a disk.

/** Files in `partials`. */
export const PARTIALS_MAX = 50;
/** `{% render %}` and `{% layout %}` within one another. */
export const PARTIAL_DEPTH_MAX = 10;
/** Uses of partials that a part may come to, also by partials that use partials. */
export const PARTIAL_USES_MAX = 500;

const PARTIAL_FILE = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\.(?:html|txt|liquid)$/;

export function isPartialFile(name: string): boolean {
  return PARTIAL_FILE.test(name);
}

/** The file that a name means in a part of this kind, or undefined when there is none. */
export function partialFile(
  partials: Readonly<Record<string, string>>,
  name: string,
  kind: "text" | "html",
): string | undefined {
  const files = [`${name}.${kind === "html" ? "html" : "txt"}`, `${name}.liquid`];
  return files.find((file) => Object.hasOwn(partials, file));
}
