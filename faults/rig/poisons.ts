// The corpus of poison: what a site, its template or its data could hand over, by mistake or in malice, that is made to
// break whoever reads, merges or sends it. None of it is random; poisons-by-chance.ts makes more.

export interface Poison {
  readonly name: string;
  /** One of the dozen that are tried on every change. */
  readonly isWorst?: boolean;
  readonly given: PoisonGiven;
}

export type PoisonGiven =
  /** A template that is pushed, and an email by SQL that is filled in with these variables, or with this JSON. */
  | { readonly kind: "template"; readonly template: Readonly<Record<string, unknown>>; readonly variables: unknown }
  /** Fields of an email, beside its `to`. */
  | { readonly kind: "email"; readonly email: Readonly<Record<string, unknown>> }
  /** A body of `POST /emails` as it goes on the wire; `TO` stands for the recipient. Its template may be `PLAIN`. */
  | { readonly kind: "json"; readonly body: string }
  /** The same for `postlane.enqueue`. */
  | { readonly kind: "sql"; readonly email: string }
  /** A mail for the SMTP door. */
  | { readonly kind: "mail"; readonly content: string };

const templated = (name: string, text: string, variables: unknown = {}, more: Partial<Poison> = {}): Poison => ({
  name,
  given: { kind: "template", template: { subject: "Poison", text }, variables },
  ...more,
});
const mailed = (name: string, content: string, more: Partial<Poison> = {}): Poison => ({
  name,
  given: { kind: "mail", content },
  ...more,
});
/** A template that prints its variable `v` as JSON. */
export const PLAIN = "plain";
const WORST = { isWorst: true } as const;

const DEPTH = 10_000;
const nested = (open: string, middle: string, close: string, depth = DEPTH): string =>
  open.repeat(depth) + middle + close.repeat(depth);
const objectsOf = (depth: number): unknown => {
  let inner: unknown = 1;
  for (let level = 0; level < depth; level++) inner = { a: inner };
  return inner;
};
const LONG = "x".repeat(500_000);
const MANY = Array.from({ length: 50_000 }, (_, index) => `x${index}`);
const HEADER = "From: shop@shop.example\r\nTo: someone@poison.example\r\nSubject: Poison\r\n";
const BODY = "\r\nHello\r\n";

export const POISONS: readonly Poison[] = [
  // Loops and output.
  templated("a loop over a billion", "{% for i in (1..n) %}{{ i }}{% endfor %}", { n: 1e9 }, WORST),
  templated(
    "loops in loops in loops",
    "{% for i in (1..n) %}{% for j in (1..n) %}{% for k in (1..n) %}{% if k == 0 %}x{% endif %}{% endfor %}{% endfor %}{% endfor %}",
    { n: 5000 },
    WORST,
  ),
  templated("50 MB of output", "{% for i in (1..n) %}{{ s }}{% endfor %}", { n: 100, s: LONG }, WORST),
  templated(
    "a text that doubles",
    `{% assign s = "${"x".repeat(100)}" %}${"{% assign s = s | append: s %}".repeat(60)}{{ s }}`,
  ),
  templated(
    "a capture that doubles",
    `{% capture s %}xxxxxxxxxx{% endcapture %}${"{% capture s %}{{ s }}{{ s }}{% endcapture %}".repeat(40)}{{ s }}`,
  ),
  templated("a table of a billion", "{% tablerow i in (1..n) %}x{% endtablerow %}", { n: 1e9 }),
  templated("a range that ends in a text of digits", "{% for i in (1..n) %}x{% endfor %}", { n: "9".repeat(1000) }),
  templated("replacing nothing by much", "{{ s | replace: '', s }}", { s: "x".repeat(20_000) }, WORST),
  templated("a list for a property's name", "{{ v | map: v }}", { v: MANY }, WORST),
  templated("a slice from where 100,000 digits say", "{{ v | slice: v }}", { v: "9".repeat(100_000) }, WORST),
  templated("sorting by a long name", "{{ v | sort: s }}", { v: MANY, s: "a.".repeat(100_000) }),
  templated("an expression as long as the data", "{{ v | where_exp: 'item', s }}", {
    v: MANY,
    s: "item and ".repeat(20_000),
  }),
  templated(
    "splitting into characters, over and over",
    "{% for i in (1..100) %}{% assign a = s | split: '' %}{% endfor %}",
    { s: LONG },
  ),
  templated("stripping what looks like a script", "{{ s | strip_html }}", { s: "<script ".repeat(60_000) }),
  templated("stripping what looks like a comment", "{{ s | strip_html }}", { s: "<!--".repeat(100_000) }),
  templated("a date with a format of nothing but %", "{{ 'now' | date: s }}", { s: "%".repeat(100_000) }),
  templated("a number with a billion digits behind the point", "{{ 1 | format_number: digits: n }}", { n: 1e9 }),
  templated(
    "a partial that renders itself",
    "",
    {},
    {
      given: {
        kind: "template",
        template: {
          subject: "Poison",
          text: "{% render 'p' %}",
          partials: { "p.txt": "{% render 'p' %}{% render 'p' %}" },
        },
        variables: {},
      },
      ...WORST,
    },
  ),
  // Nesting and parsing.
  templated("conditions nested 10,000 deep", nested("{% if true %}", "x", "{% endif %}", 9_000), {}, WORST),
  templated("brackets nested 10,000 deep", `{{ ${nested("a[", "0", "]")} }}`, { a: [0] }),
  templated("a tag that never ends", `{% if ${"a and ".repeat(100_000)}`),
  templated("data nested 1,000 deep, printed", "{{ v | json }}", { v: objectsOf(1_000) }, WORST),
  templated("data nested 1,000 deep, compared", "{% if v == w %}x{% endif %}{{ v | inspect }}", {
    v: objectsOf(1_000),
    w: objectsOf(1_000),
  }),
  templated("names of the language's own", "{{ __proto__ }}{{ constructor.constructor }}{{ v.__proto__.x }}", {
    v: JSON.parse('{"__proto__": {"x": 1}, "constructor": 1}'),
  }),
  {
    name: "HTML nested 10,000 deep",
    given: { kind: "template", template: { subject: "Poison", html: nested("<div>", "x", "</div>") }, variables: {} },
  },
  {
    name: "HTML of unclosed tables",
    given: { kind: "template", template: { subject: "Poison", html: "<table><tr><td>".repeat(20_000) }, variables: {} },
  },
  {
    name: "JSON nested 100,000 deep",
    given: {
      kind: "json",
      body: `{"to":"TO","subject":"Poison","text":"x","metadata":${nested("[", "", "]", 100_000)}}`,
    },
    ...WORST,
  },
  {
    name: "variables nested 10,000 deep",
    given: {
      kind: "json",
      body: `{"to":"TO","subject":"Poison","template":{"id":"${PLAIN}","variables":{"v":${nested("[", "1", "]", 10_000)}}}}`,
    },
  },
  {
    name: "JSON with a million keys",
    given: {
      kind: "json",
      body: `{"to":"TO","subject":"Poison","text":"x","metadata":{${Array.from({ length: 300_000 }, (_, index) => `"k${index}":1`).join()}}}`,
    },
  },
  {
    name: "JSON of 120 MB",
    given: { kind: "json", body: `{"to":"TO","subject":"Poison","text":"${"x".repeat(120_000_000)}"}` },
  },
  // By SQL.
  templated("variables nested 3,000 deep", "{{ v | json }}", `{"v":${nested("[", "1", "]", 3_000)}}`, WORST),
  templated("variables nested 50,000 deep", "{{ v | json }}", `{"v":${nested("[", "1", "]", 50_000)}}`),
  templated(
    "nested variables in a condition",
    "{% if v contains 'x' %}{% endif %}{{ v | join | escape }}{{ v | concat: v | sort }}",
    `{"v":${nested("[", "1", "]", 3_000)}}`,
  ),
  {
    name: "headers nested 3,000 deep",
    given: { kind: "sql", email: `{"to":"TO","subject":"x","text":"x","headers":${nested('{"a":', "1", "}", 3_000)}}` },
  },
  {
    name: "metadata nested 3,000 deep",
    given: {
      kind: "sql",
      email: `{"to":"TO","subject":"x","text":"x","metadata":${nested('{"a":', "1", "}", 3_000)}}`,
    },
  },
  {
    name: "a text of 30 MB by SQL",
    given: { kind: "sql", email: `{"to":"TO","subject":"x","text":"${"x".repeat(30_000_000)}"}` },
  },
  {
    name: "variables of 20 MB by SQL",
    given: {
      kind: "sql",
      email: `{"to":"TO","subject":"x","template":{"id":"${PLAIN}","variables":{"v":"${"x".repeat(20_000_000)}"}}}`,
    },
  },
  {
    name: "a million variables by SQL",
    given: {
      kind: "sql",
      email: `{"to":"TO","subject":"x","template":{"id":"${PLAIN}","variables":{"v":{${Array.from({ length: 1_000_000 }, (_, index) => `"k${index}":1`).join()}}}}}`,
    },
    ...WORST,
  },
  // Emails.
  { name: "a text of 40 MB", given: { kind: "email", email: { subject: "Poison", text: "x".repeat(40_000_000) } } },
  {
    name: "a text of one line of 5 MB",
    given: { kind: "email", email: { subject: "Poison", text: "ä".repeat(2_500_000) } },
  },
  { name: "a subject of 100,000 signs", given: { kind: "email", email: { subject: "😀".repeat(50_000), text: "x" } } },
  {
    name: "half a surrogate everywhere",
    given: { kind: "email", email: { subject: "a\ud800b", text: "\udfff".repeat(1000) } },
  },
  {
    name: "10,000 header fields",
    given: {
      kind: "email",
      email: {
        subject: "Poison",
        text: "x",
        headers: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`X-H${index}`, "v"])),
      },
    },
  },
  {
    name: "a header value of 200,000 signs",
    given: { kind: "email", email: { subject: "Poison", text: "x", headers: { "X-Long": "v".repeat(200_000) } } },
  },
  // Mail by SMTP.
  mailed(
    "MIME nested 10,000 deep",
    `${HEADER}MIME-Version: 1.0\r\n${nested("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "x", "\r\n--b--\r\n")}`,
    WORST,
  ),
  mailed("a header of 100,000 fields", `${HEADER}${"X-A: b\r\n".repeat(100_000)}${BODY}`, WORST),
  mailed("a field of 250 KB in one line", `${HEADER}X-A: ${"b".repeat(250_000)}\r\n${BODY}`),
  mailed("a field folded 20,000 times", `${HEADER}X-A: b\r\n${" c\r\n".repeat(20_000)}${BODY}`),
  mailed("a From of 10,000 addresses", `From: ${"a@b.example, ".repeat(10_000)}c@d.example\r\n${BODY}`),
  mailed("a From of nested comments", `From: ${nested("(", "x", ")", 50_000)} a@b.example\r\n${BODY}`),
  mailed("parameters without an end", `${HEADER}Content-Type: text/plain${'; a="\\\\\\"'.repeat(20_000)}\r\n${BODY}`),
  mailed("nothing but dots", `${HEADER}\r\n${"..\r\n".repeat(200_000)}`),
  mailed("one line of 5 MB", `${HEADER}\r\n${"x".repeat(5_000_000)}\r\n`),
  mailed(
    "blanks at the end of each line",
    `${HEADER}\r\n${`${" ".repeat(900)}x\r\n`.repeat(3000)}${" ".repeat(500_000)}x\r\n`,
  ),
];
