// What a compiled template is: for each part, constant texts and functions of the recipient's data, in order, and blocks
// of both. Compose encodes the constants once and asks the functions for every message. A template is stored as plain
// JSON.

import type { Context } from "liquidjs";

/** A template as it is stored: texts, with Liquid in `subject`, `preheader`, `html` and `text`. */
export interface TemplateSource {
  readonly from?: string;
  readonly reply_to?: string;
  readonly subject: string;
  readonly preheader?: string;
  readonly html?: string;
  readonly text?: string;
  /** More header fields, with Liquid in their values. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Layouts and partials that the parts use, by file name: a version brings all that it needs. */
  readonly partials?: Readonly<Record<string, string>>;
  /** Of what filters print, where the data has no `locale` and `time_zone` of its own. */
  readonly locale?: string;
  readonly time_zone?: string;
  /** Their octets are stored beside the template, in this order. */
  readonly attachments?: readonly TemplateAttachment[];
}

export interface TemplateAttachment {
  readonly filename: string;
  /** By default what the name's extension says. */
  readonly content_type?: string;
  /** Given: it is shown within the mail, where the HTML says `cid:` and this id. */
  readonly content_id?: string;
  /** Before they are encoded. */
  readonly bytes: number;
}

/** One recipient's data by the names of the list's columns; as a rule, strings. */
export type MergeData = Readonly<Record<string, unknown>>;

/** A constant, or what to put there, or a block of pieces. In the HTML part all of it is escaped already. */
export type Piece = string | ((scope: MergeScope) => string) | Block;

/** A condition or a loop: pieces that are put once, several times or not at all. */
export interface Block {
  readonly bodies: readonly (readonly Piece[])[];
  /** Asks `put` for its bodies, by their index, as often as each is to be put, in order. */
  run(scope: MergeScope, put: (body: number) => void): void;
}

/** The state of one part while it is filled in; `openScope` makes it. */
export interface MergeScope {
  readonly data: MergeData;
  /** Opened by the first piece that needs it. */
  context: Context | undefined;
  /** The variables of the loops that are under way, the outermost first. */
  readonly frames: Readonly<Record<string, unknown>>[];
  /** A `break` or `continue` was met: no further piece is put until the loop around here has seen it. */
  isStopped: boolean;
  /** Rounds that the loops have gone so far. */
  rounds: number;
}

export interface CompiledTemplate {
  readonly from?: string;
  readonly replyTo?: string;
  readonly subject: readonly Piece[];
  readonly text?: readonly Piece[];
  readonly html?: readonly Piece[];
  readonly headers?: readonly { readonly name: string; readonly pieces: readonly Piece[] }[];
}

/** Characters that one part may have when it is filled in. Mail of that size is a mistake in a template or its data. */
export const RENDERED_CHARS_MAX = 5_000_000;

/** Characters of a template's part. Some mail programs show no more than 100 KB of HTML; this stops only accidents. */
export const PART_CHARS_MAX = 1_000_000;

/**
 * Tags and outputs of one text. Liquid's parser takes them off the front of a list, which for long lists costs the square:
 * 200,000 took it 30 s, these take 20 ms.
 */
export const LIQUID_TAGS_MAX = 20_000;

/** Characters of all texts of a template together. */
export const SOURCE_CHARS_MAX = 2_000_000;

/** Where and why a template cannot be used; lines and columns count from 1. */
export interface TemplateProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The variable that it is about. */
  readonly variable?: string;
  readonly message: string;
}

/** Thrown when a template or one message's rendering of it fails; the message is held with it. */
export class TemplateRefused extends Error {
  readonly code = "template_refused";
  readonly problems: readonly TemplateProblem[];

  constructor(problems: readonly TemplateProblem[]) {
    super(problems.map(printProblem).join("\n"));
    this.name = "TemplateRefused";
    this.problems = problems;
  }
}

export function printProblem(problem: TemplateProblem): string {
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}
