// An entry of the doctor's catalogue. Pure.

/** `problem`: mail is lost, stops, or soon will; `warning`: it will hurt one day; `note`: good to know. */
export type Level = "problem" | "warning" | "note";

export interface CatalogueEntry {
  readonly level: Level;
  /** What it means for mail, in one sentence without figures. */
  readonly means: string;
  readonly remedy: string;
}

export type Catalogue = Readonly<Record<string, CatalogueEntry>>;
