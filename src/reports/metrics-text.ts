// Prometheus' text format, version 0.0.4. A few lines of our own: everything is built anew at each scrape from plain data,
// so there is no registry to keep, and nothing that is gone stays exported. Pure.

export interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric without a sample is left out, and so is a value that is no number. */
export function printMetrics(metrics: readonly Metric[]): string {
  return metrics.map(printMetric).join("");
}

function printMetric({ name, type, help, samples }: Metric): string {
  const lines = samples
    .filter(({ value }) => Number.isFinite(value))
    .map(({ labels = {}, value }) => `${name}${printLabels(labels)} ${value}\n`);
  if (lines.length === 0) return "";
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}

function printLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/** A control character in a label would only be somebody's trick. */
function escapeValue(text: string): string {
  return text
    .replaceAll(/\p{Cc}/gu, " ")
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"');
}
