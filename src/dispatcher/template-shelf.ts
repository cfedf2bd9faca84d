// The templates of single emails, parsed once per process, and an email that names one as the parts of an email like any
// other. What the email says itself goes before the template. Throws what is wrong with this one email.

import { fillTemplate, openTemplate, type OpenedTemplate } from "../templates/fill-template.ts";
import { type AttachmentNeed, NO_NEEDS, templateNeeds } from "./attachment-needs.ts";
import { type MergeData, TemplateRefused, type TemplateSource } from "../templates/compiled-template.ts";

/** As `postlane.enqueue` stores it: the version is settled at entry. */
export interface StoredTemplate {
  readonly id: string;
  readonly content_id: number;
  readonly variables: MergeData;
}

/** What a template brings, of the fields of an email. */
interface TemplatedEmail {
  readonly from?: string;
  readonly reply_to?: readonly string[];
  readonly subject?: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly template?: StoredTemplate;
}

export interface TemplateShelf {
  /** Reads the email's template, if it has one that is not here yet. */
  prepare(email: TemplatedEmail): Promise<void>;
  /** The attachments of the email's template, once it is prepared. */
  needsOf(email: TemplatedEmail): readonly AttachmentNeed[];
  /** `ownVariables`: what Postlane knows; the email's own go first. */
  fillIn<Email extends TemplatedEmail>(email: Email, ownVariables: () => MergeData): Email;
}

/** Parsed templates kept for the next email; the one that was loaded first goes first. */
const TEMPLATES_MAX = 100;

export function createTemplateShelf(readContent: (contentId: number) => Promise<unknown>): TemplateShelf {
  const kept = new Map<number, OpenedTemplate | Error>();
  // Of claimed emails: theirs stay until they are gone, however many others are used meanwhile.
  const ofEmail = new WeakMap<TemplatedEmail, OpenedTemplate | Error>();
  return {
    async prepare(email) {
      if (email.template === undefined) return;
      const { content_id } = email.template;
      const template = kept.get(content_id) ?? openOrError((await readContent(content_id)) as TemplateSource);
      if (!kept.has(content_id) && kept.size >= TEMPLATES_MAX) kept.delete(kept.keys().next().value!);
      kept.set(content_id, template);
      ofEmail.set(email, template);
    },
    needsOf(email) {
      const template = ofEmail.get(email);
      if (email.template === undefined || template === undefined || template instanceof Error) return NO_NEEDS;
      return templateNeeds(email.template.content_id, template.source);
    },
    fillIn(email, ownVariables) {
      if (email.template === undefined) return email;
      const { id, variables } = email.template;
      const template = ofEmail.get(email);
      if (template === undefined) throw new Error(`template ${id} is not loaded`);
      if (template instanceof Error) throw template;
      return merged(email, fillNamed(id, template, { ...ownVariables(), ...variables }));
    },
  };
}

function openOrError(source: TemplateSource): OpenedTemplate | Error {
  try {
    return openTemplate(source);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Which template it was stands in front of file, line and column. */
function fillNamed(id: string, template: OpenedTemplate, variables: MergeData): ReturnType<typeof fillTemplate> {
  try {
    return fillTemplate(template, variables);
  } catch (error) {
    if (!(error instanceof TemplateRefused)) throw error;
    throw new TemplateRefused(error.problems.map((problem) => ({ ...problem, file: `${id} ${problem.file}` })));
  }
}

function merged<Email extends TemplatedEmail>(email: Email, filled: ReturnType<typeof fillTemplate>): Email {
  const { reply_to, headers, ...parts } = filled;
  const { template: _, ...given } = email;
  const all = mergedHeaders(headers ?? {}, email.headers ?? {});
  return {
    ...parts,
    ...(reply_to === undefined ? {} : { reply_to: [reply_to] }),
    ...given,
    ...(Object.keys(all).length === 0 ? {} : { headers: all }),
  } as unknown as Email;
}

/** Of one name in upper and lower case, the email's. */
function mergedHeaders(
  ofTemplate: Readonly<Record<string, string>>,
  ofEmail: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const names = new Set(Object.keys(ofEmail).map((name) => name.toLowerCase()));
  const others = Object.entries(ofTemplate).filter(([name]) => !names.has(name.toLowerCase()));
  return { ...Object.fromEntries(others), ...ofEmail };
}
