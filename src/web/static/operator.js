// The operator's page: health and measures of one worker, asked every few seconds and kept in this page only.

import { fetched } from "./api.js";
import { DASH, Panel, element, facts, number, table } from "./charts.js";
import { parse, quantile, rate, sum } from "./prometheus.js";

const KEPT = 360; // readings: half an hour at 5 seconds
const LATENCY = "training_http_request_duration_seconds";
const PROBES = /^\/(health|metrics|dashboard)/; // what machines and this page ask for is no load
const asked = (labels) => !PROBES.test(labels.route);
const DASHES = ["solid", "dash", "dot"]; // so that lines differ by more than their colour

const CHARTS = {
  throughput: [["Requests", "requests"], ["Events published", "published"], ["Folded by agents", "folded"]],
  latency: [["Median", "median"], ["95th percentile", "slow"]],
  lag: [["Outbox", "relay"], ["Fold", "fold"]],
  backlog: [["Events in the outbox", "depth"], ["Records before the agents", "lag"], ["Users to compute", "stale"]],
};
const panels = Object.fromEntries(Object.keys(CHARTS).map((id) => [id, new Panel(id)]));
const $ = (id) => document.getElementById(id);
const state = document.querySelector("#state dl");
const history = document.querySelector("#faults details");

const points = [];
const faults = new Map(); // of now, by part and reason
const past = []; // of this page's life, the newest first
let last = null; // the reading before
let timer = null;
let busy = false;
let paused = false;

async function read() {
  const [health, text] = await Promise.all([
    fetched("/health/ready").then((answer) => answer.json()), // what /health/pipeline tells is its `degraded`
    fetched("/metrics").then((answer) => answer.text()),
  ]);
  return { at: new Date(), health, samples: parse(text) };
}

function point({ at, samples }) {
  const made = {
    at,
    relay: sum(samples, "training_outbox_lag_seconds"),
    fold: sum(samples, "training_fold_lag_seconds"),
    depth: sum(samples, "training_outbox_depth"),
    lag: sum(samples, "training_agent_lag"),
    stale: sum(samples, "training_stale_users"),
  };
  if (last === null || begun(last.samples) !== begun(samples)) return made; // another process has other counters
  const seconds = (at - last.at) / 1000;
  const per = (name, wanted) => rate(last.samples, samples, name, seconds, wanted);
  const milliseconds = (share) => {
    const value = quantile(last.samples, samples, LATENCY, share, asked);
    return value === null ? null : value * 1000;
  };
  return {
    ...made,
    requests: per(`${LATENCY}_count`, asked),
    published: per("training_relay_published_total"),
    folded: per("training_agent_folded_total"),
    median: milliseconds(0.5),
    slow: milliseconds(0.95),
  };
}

const begun = (samples) => sum(samples, "process_start_time_seconds");

function role(samples) {
  if (sum(samples, "training_relay_leader")) return "Leader";
  return sum(samples, "training_relay_silent_seconds") === null ? "None" : "Standby";
}

function showState({ health, samples }) {
  const of = (name) => sum(samples, name);
  const count = (name) => [number(of(name)), of(name) ? "bad" : ""];
  const known = of("training_outbox_leader_known");
  const agents = samples.get("training_agent_partitions") ?? [];
  const idle = of("training_database_connections_idle");
  const memory = of("process_resident_memory_bytes");
  facts(state, [
    ["REST", health.ok ? "Served" : "Not served", health.ok ? "good" : "bad"],
    ["Events", health.degraded.length ? "Not all is well" : "Flow", health.degraded.length ? "bad" : "good"],
    ["Relay of this worker", role(samples), of("training_relay_failing") ? "bad" : ""],
    ["Leader of the relays", known === null ? "Unknown" : known ? "Known" : "None", known === 0 ? "bad" : ""],
    ["Held in quarantine", ...count("training_outbox_quarantined")],
    ["Dead letters", ...count("training_dead_letters")],
    ["Failed folds", ...count("training_agent_failures_total")],
    ["Partitions by agent", agents.map(({ labels, value }) => `${labels.agent} ${value}`).join(", ") || DASH],
    ["Database connections", `${number(of("training_database_connections"))}, ${number(idle)} idle`],
    ["Memory", memory === null ? DASH : `${number(memory / 2 ** 20, 0)} MiB`],
  ]);
}

function showFaults({ at, health }) {
  const found = new Map();
  for (const { part, reason } of [...health.reasons, ...health.degraded]) {
    found.set(JSON.stringify([part, steady(reason)]), { part, reason });
  }
  const changed = [...found.keys()].sort().join() !== [...faults.keys()].sort().join();
  for (const [key, fault] of faults) {
    if (!found.has(key)) fault.entry.end = at;
  }
  for (const [key, { part, reason }] of found) {
    if (!faults.has(key)) past.unshift({ part, reason, begin: at, end: null });
    found.get(key).entry = faults.get(key)?.entry ?? past[0];
  }
  past.splice(KEPT);
  faults.clear();
  found.forEach((fault, key) => faults.set(key, fault));
  const list = document.querySelector("#faults ul");
  if (changed || list.childElementCount === 0) { // only then: it is read aloud
    const items = [...faults.values()].map(({ part, reason }) => {
      const item = element("li", "", { className: "bad" });
      item.append(element("strong", part), `: ${reason}`);
      return item;
    });
    list.replaceChildren(...(items.length ? items : [element("li", "None is known.")]));
  }
  showPast();
}

/** A reason without its figures, which change while it stays the same fault. */
const steady = (reason) => reason.replace(/\d+/g, "0");

function showPast() {
  if (!history.open) return;
  const rows = past.map(({ part, reason, begin, end }) => [time(begin), end ? time(end) : "lasts", part, reason]);
  const made = table("Faults since this page was opened", [["Seen at"], ["Gone at"], ["Part"], ["Reason"]], rows);
  history.querySelector(".scroll").replaceChildren(made);
}

const time = (at) => at.toLocaleTimeString("en-GB");

function showCharts() {
  for (const [id, lines] of Object.entries(CHARTS)) {
    const known = points.filter((one) => lines.some(([, key]) => one[key] !== undefined));
    if (!known.length) continue;
    const now = known.at(-1);
    panels[id].show({
      summary: `${lines.map(([name, key]) => `${name}: ${number(now[key] ?? null)}`).join(". ")}.`,
      columns: [["Time", false], ...lines.map(([name]) => [name, true])],
      rows: known.toReversed().map((one) => [time(one.at), ...lines.map(([, key]) => one[key] ?? null)]),
      figure: (colour, narrow) => ({
        traces: lines.map(([name, key], index) => ({
          type: "scatter", mode: "lines+markers", name,
          x: known.map((one) => one.at), y: known.map((one) => one[key] ?? null),
          line: { color: colour.series[index], width: 2, dash: DASHES[index] },
          marker: { color: colour.series[index], size: 4 },
        })),
        layout: {
          yaxis: { rangemode: "tozero" },
          xaxis: { type: "date", nticks: narrow ? 3 : 5, tickformat: "%H:%M:%S" },
        },
      }),
    });
  }
}

async function look() {
  if (busy) return;
  busy = true;
  clearTimeout(timer);
  try {
    const reading = await read();
    points.push(point(reading));
    points.splice(0, points.length - KEPT);
    last = reading;
    $("message").hidden = true;
    showState(reading);
    showFaults(reading);
    showCharts();
    $("fresh").dataset.readings = String(Number($("fresh").dataset.readings ?? 0) + 1);
  } catch (error) {
    last = null;
    points.push({ at: new Date() }); // a gap in the lines
    $("message").textContent = `${error.message} It is asked again.`;
    $("message").hidden = false;
  }
  busy = false;
  if (!paused && !document.hidden) timer = setTimeout(look, Number($("interval").value) * 1000);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (paused) clearTimeout(timer);
  else look();
});
$("interval").addEventListener("change", () => paused || look());
document.addEventListener("visibilitychange", () => document.hidden || paused || look());
history.addEventListener("toggle", showPast);
look();
