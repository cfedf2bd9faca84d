// `merge`: messages composed a second on one core, headers and both parts in quoted-printable, down to their octets: a
// template of 8 KB with four variables, and one with a loop of ten items. Beside it, in turns, liquidjs (parsed once)
// and Nodemailer's MailComposer do the same. Both are read back first, and must say the same.

import { Liquid } from "liquidjs";
import MailComposer from "nodemailer/lib/mail-composer/index.js";
import PostalMime from "postal-mime";
import { compileMail, mergeMail } from "../src/compose/compile-mail.ts";
import { compileTemplate } from "../src/templates/compile-template.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { quantile, round } from "./quantile.ts";

/** Less warming up would be unfair to the libraries, which have much more code to get compiled. */
const FULL = { rounds: 9, slotMs: 1_500, warmMs: 3_000 };
const QUICK = { rounds: 5, slotMs: 500, warmMs: 2_000 };
type Sizes = typeof FULL;

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  const writers = [FAST, LOOP].flatMap((template) => [ourWriter(template), libraryWriter(template)]);
  const bytes = await compareWriters(writers);
  const perS = await measureInTurns(writers, sizes, progress);
  const [fast, library, loop, libraryLoop] = perS.map((rates) => quantile(rates, 0.5)) as [
    number,
    number,
    number,
    number,
  ];
  return {
    figures: {
      fast_per_s: Math.round(fast),
      loop_per_s: Math.round(loop),
      library_per_s: Math.round(library),
      library_loop_per_s: Math.round(libraryLoop),
      vs_library: round(fast / library),
      loop_vs_library: round(loop / libraryLoop),
      message_bytes: bytes[0]!,
      loop_message_bytes: bytes[2]!,
    },
    bars: [{ key: "vs_library", op: ">=", value: 8 }],
    notes: [
      "Medians of slots in turns, per second of processor time; templates are compiled, or parsed, once. library_per_s\n" +
        "and vs_library are of the template without a loop; what stands beside loop_per_s is library_loop_per_s.",
    ],
  };
}

interface BenchTemplate {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

const SENTENCE = "The quick brown fox jumps over the lazy dog, and then it goes back home to write about it. ";
const PARAGRAPHS = Array.from({ length: 26 }, () => `<p style="margin:0 0 16px">${SENTENCE.repeat(2)}</p>\n`).join("");
const LINES = `${SENTENCE}\n`.repeat(20);
const ITEM_HTML = `{% for item in items %}<tr class="item"><td><a href="{{ item.url }}">{{ item.title }}</a></td>
<td align="right">{{ item.price }} EUR{% if item.stock < 3 %} <b>only {{ item.stock }} left</b>{% endif %}</td></tr>
{% endfor %}`;
const ITEM_TEXT = `{% for item in items %}{{ forloop.index }}. {{ item.title }}: {{ item.price }} EUR\n   {{ item.url }}\n{% endfor %}`;

const FAST = templateWith("", "");
const LOOP = templateWith(`<table>${ITEM_HTML}</table>\n`, ITEM_TEXT);

/** 8 KB of constants, four variables, and what else is given. */
function templateWith(html: string, text: string): BenchTemplate {
  return {
    subject: "{{ first_name }}, news of order {{ order }}",
    text: `Hello {{ first_name }} of {{ city }},\n\n${LINES}\n${text}\nYour order {{ order }}: {{ link }}\n`,
    html: `<!doctype html><html><body><h1>Hello {{ first_name }} of {{ city }}</h1>\n${PARAGRAPHS}${html}<p>Your order
<a href="{{ link }}">{{ order }}</a></p></body></html>\n`,
  };
}

interface BenchRecipient {
  readonly address: string;
  readonly messageId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const NAMES = ["Ann", "Zoë", "Bartholomew", "Siobhán O'Neil", "李娜"];
const CITIES = ["Berlin", "São Paulo", "Oslo", "Newcastle upon Tyne"];
/** Not too few, so that no value is at home in a cache of its own. */
const RECIPIENTS = Array.from({ length: 1_000 }, (_, index): BenchRecipient => {
  const items = Array.from({ length: 10 }, (_none, item) => ({
    title: `Item ${index + item} & more`,
    price: (index + item) / 4,
    stock: (index + item) % 7,
    url: `https://shop.example.com/item?id=${index * 10 + item}`,
  }));
  const data = {
    first_name: NAMES[index % NAMES.length],
    city: CITIES[index % CITIES.length],
    order: 70_000 + index,
    link: `https://shop.example.com/order?id=${70_000 + index}&from=mail`,
    items,
  };
  return { address: `user${index}@example.net`, messageId: `msg_${index}.m1@example.com`, data };
});

const FROM = "News <news@example.com>";
const WALL_MS = Date.UTC(2027, 0, 2, 3, 4, 5);

/** One message as octets; `sent` counts all of them. */
type Writer = (recipient: BenchRecipient, sent: number) => Buffer | Promise<Buffer>;

function ourWriter(template: BenchTemplate): Writer {
  const mail = compileMail(compileTemplate(template), { from: FROM });
  return ({ address, messageId, data }, sent) => {
    const content = mergeMail(mail, { data, recipient: address, messageId, wallMs: WALL_MS + sent });
    return Buffer.from(content.text, "latin1");
  };
}

function libraryWriter(template: BenchTemplate): Writer {
  const plain = new Liquid({ ownPropertyOnly: true });
  const escaping = new Liquid({ ownPropertyOnly: true, outputEscape: "escape" });
  const subject = plain.parse(template.subject);
  const text = plain.parse(template.text);
  const html = escaping.parse(template.html);
  return ({ address, messageId, data }, sent) =>
    new MailComposer({
      from: FROM,
      to: address,
      subject: String(plain.renderSync(subject, data)),
      text: String(plain.renderSync(text, data)),
      html: String(escaping.renderSync(html, data)),
      messageId: `<${messageId}>`,
      date: new Date(WALL_MS + sent),
      textEncoding: "quoted-printable",
    })
      .compile()
      .build();
}

/** The sizes of their first messages; throws when two writers of one template do not say the same. */
async function compareWriters(writers: readonly Writer[]): Promise<readonly number[]> {
  const sizes: number[] = [];
  let before = "";
  for (const [index, write] of writers.entries()) {
    const octets = await write(RECIPIENTS[1]!, 0);
    const { subject, text, html, from, to, date, messageId } = await PostalMime.parse(octets);
    const said = JSON.stringify({ subject, text, html, from, to, date, messageId });
    if (index % 2 === 1 && said !== before) throw new Error(`the writers differ:\n${before}\n${said}`);
    before = said;
    sizes.push(octets.length);
  }
  return sizes;
}

/** Messages per second of each writer, slot by slot, in turns, so that a slow minute of the machine is everybody's. */
async function measureInTurns(
  writers: readonly Writer[],
  { rounds, slotMs, warmMs }: Sizes,
  progress: BenchOptions["progress"],
): Promise<readonly number[][]> {
  const rates: number[][] = writers.map(() => []);
  for (const write of writers) await measure(write, warmMs);
  for (let turn = 1; turn <= rounds; turn++) {
    progress(`turn ${turn} of ${rounds}`);
    for (const [index, write] of writers.entries()) rates[index]!.push(await measure(write, slotMs));
  }
  return rates;
}

const BATCH = 50;

/** Per second of processor time, which is what one core has; the collector's threads count. */
async function measure(write: Writer, slotMs: number): Promise<number> {
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  let sent = 0;
  for (;;) {
    for (let index = 0; index < BATCH; index++) {
      const octets = write(RECIPIENTS[sent % RECIPIENTS.length]!, sent);
      // Who answers at once is not made to wait for a turn of the event loop.
      if (octets instanceof Promise) await octets;
      sent++;
    }
    if (performance.now() - startedAt < slotMs) continue;
    const { user, system } = process.cpuUsage(cpuBefore);
    return (sent * 1_000_000) / (user + system);
  }
}
