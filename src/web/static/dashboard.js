// The athlete's page: asks for the token, reads the metrics, and fills the panels.

import { Failure, metric, token, userOf } from "./api.js";
import { Panel, element, facts } from "./charts.js";
import * as views from "./views.js";

const EMPTY = "There is no completed training in this range.";
const FEW = 5;
const TAIL = { days: 28 }; // after the last training, until when its load counts
const SPAN = { days: -4960 }; // of what is shown; with a month's end and the tail no report of it is too long

const $ = (id) => document.getElementById(id);
const panels = Object.fromEntries(
  ["streaks", "volume", "load", "progress", "records", "calendar"].map((id) => [id, new Panel(id)]),
);
const turns = new Map(); // of each panel: an answer that was overtaken by a newer question is dropped

let days = []; // with a training, the oldest first
let months = []; // all of them
let since; // the day from which on there are charts
let range = {}; // of days that are asked for

/** Fill a panel with the view that `work` makes, or say why it cannot be. */
async function fill(panel, work, empty = EMPTY) {
  const turn = (turns.get(panel) ?? 0) + 1;
  turns.set(panel, turn);
  panel.section.ariaBusy = "true";
  try {
    const view = await work();
    if (turns.get(panel) !== turn) return;
    if (view === null) panel.say(empty);
    else await panel.show(view);
  } catch (error) {
    if (turns.get(panel) === turn) failed(error, (words) => panel.say(words, true));
  } finally {
    panel.section.ariaBusy = "false";
  }
}

function failed(error, say) {
  if (error.status === 401) return enter(error.message);
  say(error.message);
  if (!(error instanceof Failure)) throw error; // a mistake of ours: for the console too
}

function tell(words) {
  $("message").textContent = words;
  $("message").classList.toggle("bad", Boolean(words));
  $("message").hidden = !words;
}

function options(select, pairs) {
  const before = select.value;
  select.replaceChildren(...pairs.map(([value, name]) => element("option", name, { value })));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

/** Ask for a token, and say why. */
function enter(why = "") {
  token.forget();
  turns.clear();
  $("report").hidden = true;
  $("enter").hidden = false;
  tell(why);
  $("token").focus();
}

const showVolume = () => fill(panels.volume, async () => {
  const figure = $("figure");
  const report = await metric("volume", { period: "week", by: "category", ...range });
  return views.volumeView(report, figure.value, figure.selectedOptions[0].textContent);
});

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

const showCalendar = () => fill(panels.calendar, async () => views.calendarView(days, $("year").value));

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
  tell("");
  $("report").ariaBusy = "true";
  try {
    months = (await metric("volume", { period: "month" })).items;
    since = months.length ? views.moved(`${months.at(-1).month}-01`, { months: 1, ...SPAN }) : undefined;
    const report = await metric("volume", { period: "day", from: since });
    days = report.items;
    const at = new Date(report.as_of).toLocaleString("en-GB");
    const older = since && `${months[0].month}-01` < since;
    $("fresh").textContent = `As of ${at}. Days are local: of the zone that each training names.` +
      (older ? ` Trainings before ${views.said(since)} are counted, and not in the charts.` : "");
    $("enter").hidden = true;
    $("report").hidden = false;
    chooseRange();
    options($("year"), views.years(days).map((year) => [year, year]));
    const progress = showOverview().then(findProgress);
    await Promise.all([showVolume(), showLoad(), showCalendar(), showRecords(), progress]);
  } catch (error) {
    failed(error, tell);
  } finally {
    $("report").ariaBusy = "false";
  }
}

$("enter").addEventListener("submit", (event) => {
  event.preventDefault(); // so that the token never stands in an address
  const text = $("token").value.trim().replace(/^Bearer\s+/i, "");
  $("token").value = "";
  try {
    userOf(text);
  } catch (error) {
    return enter(error.message);
  }
  token.keep(text);
  show().then(() => $("report").hidden || $("range").focus());
});
$("forget").addEventListener("click", () => enter());
$("refresh").addEventListener("click", show);
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

if (token.get() === null) enter();
else show();
