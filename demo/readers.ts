// The readers of the demo's newsletter: invented, the same at every run, with given names in many scripts and addresses
// under `.example`, which nobody can ever register (RFC 2606). Written as a CSV file as an office would export it: BOM,
// CRLF, quotes where they are needed, and here and there a cell left empty.

import { createWriteStream } from "node:fs";
import { once } from "node:events";

const NAMES: Readonly<Record<string, readonly string[]>> = {
  Latin: [
    "Ann",
    "Chloé",
    "Łucja",
    "Åsa",
    "Señor Íñigo",
    "Zoë",
    "Đorđe",
    "Ömer",
    "Thảo",
    "Māra",
    "Þóra",
    "O'Brien, Pat",
  ],
  Greek: ["Ελένη", "Γιώργος", "Αθηνά"],
  Cyrillic: ["Ольга", "Данило", "Ђурђа", "Айгүл"],
  Armenian: ["Անահիտ", "Արամ"],
  Georgian: ["ნინო", "გიორგი"],
  Hebrew: ["נועה", "איתן"],
  Arabic: ["ليلى", "یوسف", "زهرا"],
  Ethiopic: ["ሰላም", "አበበ"],
  Devanagari: ["आशा", "रोहन"],
  Bengali: ["মিতা", "অরুণ"],
  Gurmukhi: ["ਹਰਲੀਨ"],
  Gujarati: ["કિરણ"],
  Tamil: ["கவிதா", "முருகன்"],
  Telugu: ["సీత"],
  Kannada: ["ಕಾವ್ಯ"],
  Malayalam: ["മീര"],
  Sinhala: ["නිමාලි"],
  Thai: ["มาลี", "สมชาย"],
  Lao: ["ບົວ"],
  Khmer: ["សុភា"],
  Burmese: ["အေးအေး"],
  Tibetan: ["བསོད་ནམས"],
  Han: ["小明", "婉清", "子豪"],
  Kana: ["さくら", "ハルト"],
  Hangul: ["지우", "민준"],
  Emoji: ["Robin 🌱"],
};
const FAVOURITES = ["tomato", "chilli", 'bean "Blue Lake"', "sweet pea", "courgette", "sunflower", "fennel, wild"];
const BEDS = 400;
const DOMAINS = 500;
/** One cell in so many has no name: the template has a default for it. */
const NAMELESS_EVERY = 97;

export const SCRIPTS_COUNT = Object.keys(NAMES).length - 1;

export interface Reader {
  readonly email: string;
  readonly first_name: string;
  readonly bed: string;
  readonly favourite: string;
}

export function inventReader(number: number): Reader {
  const scripts = Object.values(NAMES);
  const names = scripts[number % scripts.length]!;
  const isNameless = number % NAMELESS_EVERY === 0;
  return {
    email: `reader${number}@garden${(number * 7919) % DOMAINS}.example`,
    first_name: isNameless ? "" : names[Math.floor(number / scripts.length) % names.length]!,
    bed: String((number % BEDS) + 1),
    favourite: FAVOURITES[number % FAVOURITES.length]!,
  };
}

/** Answers the addresses that it wrote. */
export async function writeReaders(file: string, count: number): Promise<readonly string[]> {
  const out = createWriteStream(file, { mode: 0o600 });
  const addresses: string[] = [];
  out.write("\ufeffemail,first_name,bed,favourite\r\n");
  for (let number = 1; number <= count; number++) {
    const reader = inventReader(number);
    addresses.push(reader.email);
    const row = [reader.email, reader.first_name, reader.bed, reader.favourite].map(quoted).join(",");
    if (!out.write(`${row}\r\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  return addresses;
}

/** RFC 4180 §2, 6 and 7. */
function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
