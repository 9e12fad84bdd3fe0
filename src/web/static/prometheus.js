// Prometheus' text format, as far as the service writes it, and what counters and histograms tell between readings.

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n" };

/** Samples by name: each a list of {labels, value}. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = LINE.exec(line);
    if (!found) continue; // a comment, or nothing
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(LABEL)) {
      labels[name] = value.replace(/\\(.)/g, (_, char) => ESCAPED[char] ?? char);
    }
    const value = Number(found[3].replace("Inf", "Infinity"));
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value });
  }
  return samples;
}

/** The sum of a name's samples that `wanted` takes; null where there is none. */
export function sum(samples, name, wanted = () => true) {
  const found = (samples.get(name) ?? []).filter(({ labels }) => wanted(labels));
  return found.length ? found.reduce((total, { value }) => total + value, 0) : null;
}

/** How much a counter grew a second; null where it began anew. One that was not there counts from 0. */
export function rate(before, after, name, seconds, wanted) {
  const grown = (sum(after, name, wanted) ?? 0) - (sum(before, name, wanted) ?? 0);
  return grown < 0 || seconds <= 0 ? null : grown / seconds;
}

/** The quantile of what a histogram was given between two readings, linear within a bucket; null where nothing was. */
export function quantile(before, after, name, share, wanted = () => true) {
  const counts = new Map();
  for (const [samples, sign] of [[after, 1], [before, -1]]) {
    for (const { labels, value } of samples.get(`${name}_bucket`) ?? []) {
      const bound = Number(labels.le.replace("Inf", "Infinity"));
      if (wanted(labels)) counts.set(bound, (counts.get(bound) ?? 0) + sign * value);
    }
  }
  const bounds = [...counts.keys()].sort((a, b) => a - b);
  const rank = share * (counts.get(Infinity) ?? 0);
  if (!(rank > 0)) return null;
  let lower = 0;
  let below = 0;
  for (const bound of bounds) {
    const count = counts.get(bound);
    if (count >= rank) return bound === Infinity ? lower : lower + ((bound - lower) * (rank - below)) / (count - below);
    [lower, below] = [bound, count];
  }
  return lower;
}
