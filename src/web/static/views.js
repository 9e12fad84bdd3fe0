// What the answers of the API are shown as: each function makes a summary, a figure and a table; null where is nothing.

import { DASH, number } from "./charts.js";

const DAY = 86400000; // milliseconds
const CATEGORIES = ["Push", "Pull", "Legs", "Core", "Skill"];
const UNKNOWN = "Other"; // the exercise names no movement that is known
export const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const BANDS = { under: "under the band", target: "within the band", over: "over the band" };
const REASONS = {
  before_28_days: "fewer than 28 days are known yet",
  no_chronic_load: "there is no load to compare with",
};
/** Whether the API tells it: what is unknown it leaves out, or says null. */
export const isKnown = (value) => value !== null && value !== undefined;
const date = (text) => new Date(`${text}T00:00:00Z`);
const iso = (day) => day.toISOString().slice(0, 10);
export const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;

/** A day as people write it. */
export function said(day) {
  if (!isKnown(day)) return DASH;
  return date(day).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** The same without its year. */
export const short = (day) => said(day).replace(/ \d+$/, "");

/** The day so many months, or days, from `day`. */
export function moved(day, { months = 0, days = 0 }) {
  const made = date(day);
  made.setUTCMonth(made.getUTCMonth() + months);
  return iso(new Date(made.getTime() + days * DAY));
}

export function volumeView({ items }, figure, name) {
  const known = items.filter((item) => item[figure]);
  if (!known.length) return null;
  const category = (item) => (CATEGORIES.includes(item.category) ? item.category : UNKNOWN);
  const all = [...CATEGORIES, UNKNOWN];
  const sums = new Map(); // week → category → figure
  const totals = new Map();
  for (const item of known) {
    const week = sums.get(item.monday) ?? {};
    week[category(item)] = (week[category(item)] ?? 0) + item[figure];
    sums.set(item.monday, week);
    totals.set(category(item), (totals.get(category(item)) ?? 0) + item[figure]);
  }
  const there = all.filter((one) => totals.has(one));
  const total = [...totals.values()].reduce((a, b) => a + b);
  const shares = there.map((one) => `${one} ${number((100 * totals.get(one)) / total, 0)} %`);
  const mondays = [...sums.keys()].sort();
  const span = mondays.length === 1 ? "" : ` to ${said(mondays.at(-1))}`;
  return {
    summary: `${name} in ${counted(sums.size, "week")} with training, from the week of ${said(mondays[0])}${span}: ` +
      `${number(total)} in all. ${shares.join(", ")}.`,
    columns: [["Week of", false, "day"], ...there.map((one) => [one, true])],
    rows: mondays.toReversed().map((monday) => [said(monday), ...there.map((one) => sums.get(monday)[one] ?? null)]),
    figure: (colour) => ({
      traces: there.map((one) => ({
        type: "bar", name: one, x: mondays, y: mondays.map((monday) => sums.get(monday)[one] ?? null), width: 6 * DAY,
        marker: { color: colour.series[all.indexOf(one)], line: { color: colour.surface, width: 1 } },
      })),
      layout: { barmode: "stack", xaxis: { type: "date", hoverformat: "Week of %-d %b %Y" } },
    }),
  };
}

export function loadView({ items, unit, method }, name) {
  if (!items.some((item) => item.load > 0)) return null;
  const target = method.name === "coupled" ? method.rules.target : null; // the band is of this ratio alone
  const { acute, chronic } = items.at(-1);
  const rested = acute === 0 && chronic === 0; // for so long that there is nothing to tell of today
  const last = rested ? items.findLast((item) => item.load > 0) : items.at(-1);
  const ratios = items.filter((item) => isKnown(item.acwr));
  const most = ratios.reduce((best, item) => (item.acwr > (best?.acwr ?? -1) ? item : best), null);
  const ratio = !isKnown(last.acwr)
    ? `no ratio, because ${REASONS[last.reason] ?? "it is undefined"}`
    : `ratio ${number(last.acwr, 2)}${target ? `, ${BANDS[last.band]} of ${target.join(" to ")}` : ""}`;
  const days = items.map((item) => item.day);
  const line = (name, key, more) => ({
    type: "scatter", mode: "lines", name, x: days, y: items.map((item) => item[key]), ...more,
  });
  return {
    summary: `${name} on ${said(last.day)}: acute load ${number(last.acute)}, ` +
      `chronic load ${number(last.chronic)} ${unit} a day, ${ratio}. ` +
      `${most ? `The highest ratio was ${number(most.acwr, 2)} on ${said(most.day)}. ` : ""}` +
      `Method ${method.name}, version ${method.version}.`,
    columns: [
      ["Day", false, "day"], ["Load", true], ["Acute", true], ["Chronic", true], ["Ratio", true], ["Band", false],
    ],
    rows: items.toReversed().map((item) => [
      said(item.day), item.load, item.acute, item.chronic, item.acwr, item.band ?? (REASONS[item.reason] || DASH),
    ]),
    figure: (colour) => ({
      traces: [
        { type: "bar", name: "Day", x: days, y: items.map((item) => item.load), marker: { color: colour.bars } },
        line("Acute (7 days)", "acute", { line: { color: colour.series[1], width: 2 } }),
        line("Chronic (28 days)", "chronic", { line: { color: colour.series[0], width: 2, dash: "dash" } }),
        line("Ratio", "acwr", { yaxis: "y2", line: { color: colour.series[3], width: 2 }, hovertemplate: "%{y:.2f}" }),
      ],
      layout: {
        xaxis: { type: "date", anchor: "y2", hoverformat: "%-d %b %Y" },
        yaxis: { domain: [0.4, 1], rangemode: "tozero", title: { text: unit } },
        yaxis2: { domain: [0, 0.32], range: [0, Math.max(2, (most?.acwr ?? 0) * 1.05)], title: { text: "ratio" } },
        shapes: target ? [{
          type: "rect", xref: "paper", yref: "y2", x0: 0, x1: 1, y0: target[0], y1: target[1], layer: "below",
          fillcolor: colour.band, line: { width: 0 },
        }] : [],
      },
    }),
  };
}

export function progressView({ items }) {
  const known = items.filter((item) => isKnown(item.e1rm_kg));
  if (!known.length) return null;
  let best = -Infinity;
  const bests = known.map((item) => (best = Math.max(best, item.e1rm_kg)));
  const top = known.find((item) => item.e1rm_kg === best);
  const of = (item) => (item.e1rm_reps ? `${number(item.e1rm_weight_kg, 2)} kg × ${item.e1rm_reps}` : DASH);
  const last = known.at(-1);
  const days = known.map((item) => item.day);
  return {
    summary: `Best ${number(best)} kg on ${said(top.day)} (${of(top)}); first ${number(known[0].e1rm_kg)} kg on ` +
      `${said(days[0])}, latest ${number(last.e1rm_kg)} kg on ${said(last.day)}.`,
    columns: [["Day", false, "day"], ["Estimate, kg", true], ["Best set", true], ["Sets", true], ["Repetitions", true]],
    rows: known.toReversed().map((item) => [said(item.day), item.e1rm_kg, of(item), item.sets, item.reps]),
    figure: (colour) => ({
      traces: [
        {
          type: "scatter", mode: "lines", name: "Best so far", x: days, y: bests,
          line: { shape: "hv", dash: "dash", color: colour.series[1], width: 2 },
        },
        {
          type: "scatter", mode: "lines+markers", name: "Day", x: days, y: known.map((item) => item.e1rm_kg),
          line: { color: colour.series[0], width: 1.5 }, marker: { color: colour.series[0], size: 6 },
        },
      ],
      layout: { xaxis: { type: "date", hoverformat: "%-d %b %Y" }, yaxis: { title: { text: "kg" } } },
    }),
  };
}

/** The years with a training, the newest first. */
export const years = (days) => [...new Set(days.map(({ day }) => day.slice(0, 4)))].reverse();

export function calendarView(days, year) {
  const known = days.filter(({ day }) => day.startsWith(year));
  if (!known.length) return null;
  const by = new Map(known.map((item) => [item.day, item]));
  const first = date(`${year}-01-01`);
  const monday = first.getTime() - ((first.getUTCDay() + 6) % 7) * DAY;
  const mondays = [];
  for (let start = monday; start <= date(`${year}-12-31`).getTime(); start += 7 * DAY) mondays.push(start);
  const cell = (start, weekday) => iso(new Date(start + weekday * DAY));
  const grid = (make) => WEEKDAYS.map((_, weekday) => mondays.map((start) => make(cell(start, weekday))));
  const done = (item) => `${counted(item.sessions, "training")}, ${counted(item.sets, "set")}`;
  const sets = known.reduce((total, item) => total + item.sets, 0);
  const sessions = known.reduce((total, item) => total + item.sessions, 0);
  return {
    summary: `${counted(sessions, "training")} on ${counted(known.length, "day")} of ${year}, ` +
      `${counted(sets, "set")} in all.`,
    columns: [
      ["Day", false, "day"], ["Trainings", true], ["Sets", true], ["Repetitions", true], ["External load, kg", true],
    ],
    rows: known.toReversed().map((item) => [
      said(item.day), item.sessions, item.sets, item.reps, item.external_load_kg,
    ]),
    figure: (colour, narrow) => ({
      traces: [{
        type: "heatmap", x: mondays.map((start) => iso(new Date(start))), y: WEEKDAYS, xgap: narrow ? 1 : 2, ygap: 2,
        z: grid((day) => (day.startsWith(year) ? by.get(day)?.sets ?? 0 : null)),
        text: grid((day) => `${said(day)}: ${by.has(day) ? done(by.get(day)) : "no training"}`),
        hovertemplate: "%{text}<extra></extra>", hoverongaps: false, zmin: 0,
        colorscale: [[0, colour.empty], [0.001, colour.low], [1, colour.high]],
        showscale: !narrow, colorbar: { thickness: 10, title: { text: "sets" }, outlinewidth: 0, nticks: 4 },
      }],
      layout: {
        hovermode: "closest",
        xaxis: { type: "date", tickformat: "%b", dtick: narrow ? "M3" : "M1", tickangle: 0, showgrid: false },
        yaxis: { autorange: "reversed", showgrid: false, tickvals: ["Mon", "Wed", "Fri", "Sun"] },
      },
    }),
  };
}

export function recordsView({ items }, name) {
  if (!items.length) return null;
  const measured = (value, unit, weight) => {
    if (!isKnown(value)) return DASH;
    if (unit === "difficulty") return `difficulty ${number(value)}`;
    if (unit !== "reps") return `${number(value, 2)} ${unit}`;
    return `${counted(value, "rep")}${isKnown(weight) ? ` at ${number(weight, 2)} kg` : ""}`;
  };
  const before = items[0].kind === "reps_at_weight" ? "Before, at this weight or more" : "Before";
  return {
    summary: `${name}: ${number(items.length)} in force, the newest of ${said(items[0].day)}.`,
    columns: [["Exercise", false], ["Record", true], [before, true, "spare"], ["Day", false, "day"]],
    rows: items.map((item) => [
      item.name, measured(item.value, item.unit, item.at_weight_kg), measured(item.previous, item.unit), said(item.day),
    ]),
  };
}

export function streakFacts({ streaks }, months) {
  const { current, longest } = streaks;
  const sum = (key) => months.reduce((total, month) => total + month[key], 0);
  const since = longest.weeks ? `, from ${said(longest.first)}` : "";
  return [
    ["Current streak", counted(current.weeks, "week")],
    [`Longest streak${since}`, counted(longest.weeks, "week")],
    ["Trainings", number(sum("sessions"))],
    ["Sets", number(sum("sets"))],
    ["Repetitions", number(sum("reps"))],
    ["External load", `${number(sum("external_load_kg"), 0)} kg`],
  ];
}

/** The movements that can be chosen, as [key, name]: what was trained since `from` first, and what was more often. */
export function movementOptions({ movements }, from = "") {
  const recent = (one) => Number(one.last_day >= from);
  const sorted = movements.toSorted((a, b) => recent(b) - recent(a) || b.sessions - a.sessions);
  return sorted.map((one) => [one.movement, one.name]);
}

const MILESTONES = { sessions: "trainings", reps: "repetitions", external_load_kg: "kg of external load" };

export function milestonesView({ milestones }) {
  const known = milestones.toSorted((a, b) => (a.day < b.day ? 1 : -1));
  return {
    columns: [["Reached on", false, "day"], ["Milestone", false]],
    rows: known.map(({ kind, value, day }) => [said(day), `${number(value)} ${MILESTONES[kind] ?? kind}`]),
  };
}
