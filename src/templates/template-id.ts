// How a template is named: `welcome` is its latest version, `welcome@3` its third. Pure.

export interface TemplateId {
  readonly name: string;
  /** Absent: the latest. */
  readonly version?: number;
}

/** Undefined when it cannot be one. */
export function parseTemplateId(given: string): TemplateId | undefined {
  const [, name, version] = /^(.+?)(?:@(\d{1,9}))?$/.exec(given) ?? [];
  if (name === undefined || !isTemplateName(name)) return undefined;
  return version === undefined ? { name } : { name, version: Number(version) };
}

export function isTemplateName(given: string): boolean {
  return TEMPLATE_NAME.test(given);
}

export function printTemplateId({ name, version }: { readonly name: string; readonly version: number }): string {
  return `${name}@${version}`;
}

export const TEMPLATE_NAME_WORDS = "1 to 100 of a-z, A-Z, 0-9, ., _ and -, a letter or a digit first";
const TEMPLATE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
