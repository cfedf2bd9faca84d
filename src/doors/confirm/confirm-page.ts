// The page to confirm a subscription: which list, which address, and one button.

import type { FormFields } from "../pages/form-fields.ts";
import type { Language } from "../pages/languages.ts";
import { form, from, heading, maskedAddress, naming, paragraph, quiet, tooOldPage, type Page } from "../pages/page.ts";
import { CONFIRM_TEXTS } from "./confirm-texts.ts";

export type ConfirmContent =
  | {
      readonly kind: "pending" | "confirmed";
      readonly list: string;
      readonly address: string;
      /** Whom the mail was from: a mailbox. */
      readonly sender: string;
    }
  | { readonly kind: "too_old" };

/** What the button sends. */
const BUTTON = { name: "confirm", value: "yes" } as const;

export function isConfirmed(fields: FormFields): boolean {
  return fields.get(BUTTON.name) === BUTTON.value;
}

export function confirmPage(content: ConfirmContent, language: Language): Page {
  const texts = CONFIRM_TEXTS[language];
  if (content.kind === "too_old") return tooOldPage(language, texts.tooOld);
  const { kind, list, address, sender } = content;
  const isDone = kind === "confirmed";
  const title = isDone ? texts.doneTitle : texts.title;
  return {
    title,
    body: [
      from(sender),
      heading(title, isDone),
      paragraph(naming(isDone ? texts.done : texts.ask, list)),
      maskedAddress(language, address),
      isDone ? "" : quiet(texts.notYou),
      isDone ? "" : form({ text: texts.button, ...BUTTON, style: "first" }),
    ],
  };
}
