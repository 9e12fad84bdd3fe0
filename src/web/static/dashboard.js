// The athlete's figures: reads the metrics, and fills the panels.

import { metric } from "./api.js";
import { Panel, facts } from "./charts.js";
import { $, fill, options, reveal, start } from "./page.js";
import * as views from "./views.js";

const EMPTY = "There is no completed training in this range.";
const FEW = 5;
const TAIL = { days: 28 }; // after the last training, until when its load counts
const SPAN = { days: -4960 }; // of what is shown; with a month's end and the tail no report of it is too long

const panels = Object.fromEntries(
  ["streaks", "volume", "load", "progress", "records", "calendar"].map((id) => [id, new Panel(id)]),
);

let days = []; // with a training, the oldest first
let months = []; // all of them
let since; // the day from which on there are charts
let range = {}; // of days that are asked for

const showVolume = () => fill(panels.volume, async () => {
  const figure = $("figure");
  const report = await metric("volume", { period: "week", by: "category", ...range });
  return views.volumeView(report, figure.value, figure.selectedOptions[0].textContent);
}, EMPTY);

const showLoad = () => fill(panels.load, async () => {
  const measure = $("measure").dataset.chosen; // until then the service chooses
  const to = range.to && views.moved(range.to, TAIL);
  const report = await metric("load", { measure, method: $("method").value, ...range, to });
  for (const option of $("measure").options) option.disabled = !report.measures.includes(option.value);
  if (report.measure) $("measure").value = report.measure;
  return views.loadView(report, $("measure").selectedOptions[0].textContent);
}, "There is no load of this measure in this range.");

const showProgress = () => fill(panels.progress, async () => {
  const movement = $("movement").value;
  return movement ? views.progressView(await metric("progress", { movement, ...range })) : null;
}, "There is no set in this range of which a maximum can be estimated: that needs a weight, at most 12 repetitions " +
  "and, where the body is lifted too, the bodyweight.");

const showRecords = () => fill(panels.records, async () => {
  const kind = $("kind");
  const report = await metric("records", { kind: kind.value });
  return views.recordsView(report, kind.selectedOptions[0].textContent);
}, "No record of this kind has been set yet.");

const showCalendar = () => fill(panels.calendar, async () => views.calendarView(days, $("year").value), EMPTY);

async function showOverview() {
  const panel = panels.streaks;
  await fill(panel, async () => {
    const overview = await metric("progress");
    options($("movement"), views.movementOptions(overview, range.from));
    facts(panel.section.querySelector("dl"), views.streakFacts(overview, months));
    return views.milestonesView(overview);
  });
}

/** The movement that is chosen, or else the first of a few that has something to show. */
async function findProgress() {
  const select = $("movement");
  const tried = [...new Set([select.value, ...[...select.options].slice(0, FEW).map(({ value }) => value)])];
  for (const value of tried) {
    select.value = value;
    await showProgress();
    if (panels.progress.shown) return;
  }
  select.value = tried[0];
}

function chooseRange() {
  const last = days.at(-1)?.day;
  const count = Number($("range").value);
  range = { from: count && last ? views.moved(last, { months: -count, days: 1 }) : since, to: last };
}

/** Read everything anew. */
async function show() {
  months = (await metric("volume", { period: "month" })).items;
  since = months.length ? views.moved(`${months.at(-1).month}-01`, { months: 1, ...SPAN }) : undefined;
  const report = await metric("volume", { period: "day", from: since });
  days = report.items;
  const at = new Date(report.as_of).toLocaleString("en-GB");
  const older = since && `${months[0].month}-01` < since;
  $("fresh").textContent = `As of ${at}. Days are local: of the zone that each training names.` +
    (older ? ` Trainings before ${views.said(since)} are counted, and not in the charts.` : "");
  reveal();
  chooseRange();
  options($("year"), views.years(days).map((year) => [year, year]));
  const progress = showOverview().then(findProgress);
  await Promise.all([showVolume(), showLoad(), showCalendar(), showRecords(), progress]);
}

$("range").addEventListener("change", () => {
  chooseRange();
  showVolume();
  showLoad();
  showProgress();
});
$("figure").addEventListener("change", showVolume);
$("measure").addEventListener("change", () => {
  $("measure").dataset.chosen = $("measure").value;
  showLoad();
});
$("method").addEventListener("change", showLoad);
$("movement").addEventListener("change", showProgress);
$("kind").addEventListener("change", showRecords);
$("year").addEventListener("change", showCalendar);

start(show, $("range"));
