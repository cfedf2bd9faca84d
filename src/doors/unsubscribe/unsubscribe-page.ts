// The page to unsubscribe, with one button, and a second one for all newsletters once a list is done.

import type { Language } from "../pages/languages.ts";
import {
  escapeHtml,
  form,
  from,
  heading,
  invalidPage,
  maskedAddress,
  naming,
  paragraph,
  quiet,
  tooOldPage,
  type Page,
} from "../pages/page.ts";
import { PAGE_FIELD, PAGE_VALUES } from "./unsubscribe-form.ts";
import { UNSUBSCRIBE_TEXTS } from "./unsubscribe-texts.ts";

export type PageContent =
  /** `list` empty: all bulk mail. */
  | { readonly kind: "ask"; readonly list: string; readonly about: PageAbout }
  | { readonly kind: "done"; readonly list: string; readonly about: PageAbout }
  | { readonly kind: "invalid" }
  | { readonly kind: "too_old" };

export interface PageAbout {
  /** Whom the mail is from: a mailbox. */
  readonly sender: string;
  readonly recipient: string;
}

export function unsubscribePage(content: PageContent, language: Language): Page {
  const texts = UNSUBSCRIBE_TEXTS[language];
  switch (content.kind) {
    case "ask": {
      const { list, about } = content;
      const question = list === "" ? escapeHtml(texts.askAll) : naming(texts.ask, list);
      return {
        title: texts.title,
        body: [
          from(about.sender),
          heading(texts.title),
          paragraph(question),
          maskedAddress(language, about.recipient),
          button(texts.button, "list", "first"),
        ],
      };
    }
    case "done": {
      const { list, about } = content;
      const said = list === "" ? escapeHtml(texts.doneAll) : naming(texts.done, list);
      return {
        title: texts.doneTitle,
        body: [
          from(about.sender),
          heading(texts.doneTitle, true),
          paragraph(said),
          maskedAddress(language, about.recipient),
          quiet(texts.late),
          list === "" ? "" : button(texts.allButton, "all", "second"),
        ],
      };
    }
    case "invalid":
      return invalidPage(language);
    case "too_old":
      return tooOldPage(language, texts.tooOld);
  }
}

function button(text: string, value: keyof typeof PAGE_VALUES, style: "first" | "second"): string {
  return form({ text, name: PAGE_FIELD, value: PAGE_VALUES[value], style }, { "List-Unsubscribe": "One-Click" });
}
