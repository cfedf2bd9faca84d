// The languages that pages speak, and in which direction they are written.

export const LANGUAGES = {
  en: "ltr",
  de: "ltr",
  fr: "ltr",
  es: "ltr",
  it: "ltr",
  pt: "ltr",
  nl: "ltr",
  pl: "ltr",
  sv: "ltr",
  da: "ltr",
  cs: "ltr",
  ja: "ltr",
  ar: "rtl",
} as const satisfies Readonly<Record<string, "ltr" | "rtl">>;

export type Language = keyof typeof LANGUAGES;
