// What a POST says: the one key and value of RFC 8058 §3.1, from a mail client or from the page's own buttons. Pure; anything
// else is read as nothing.

import type { FormFields } from "../pages/form-fields.ts";

export type FormRead =
  /** `page`: by the button of the page, so that a person reads the answer. */
  | { readonly kind: "unsubscribe"; readonly door: "one_click" | "page"; readonly isAll: boolean }
  | { readonly kind: "other" };

/** The field of the page's buttons, and its values. */
export const PAGE_FIELD = "page";
export const PAGE_VALUES = { list: "list", all: "all" } as const;

export function readUnsubscribeForm(fields: FormFields): FormRead {
  if (fields.get("List-Unsubscribe")?.trim().toLowerCase() !== "one-click") return { kind: "other" };
  const page = fields.get(PAGE_FIELD) ?? undefined;
  return { kind: "unsubscribe", door: page === undefined ? "one_click" : "page", isAll: page === PAGE_VALUES.all };
}
