// What stands in an address is text: a parameter that is a whole number becomes one here, before the schema looks at it. What
// is none is left as it is, and for the schema to refuse.

export function readWholeNumber(query: object, name: string, digitsMax = 9): void {
  const given = query as Record<string, unknown>;
  const text = given[name];
  if (typeof text === "string" && text.length <= digitsMax && /^\d+$/.test(text)) given[name] = Number(text);
}
