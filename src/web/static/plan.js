// The athlete's plan: reads what is planned, advised, prescribed and aimed at, and fills the panels.

import { adviceView, change } from "./advice.js";
import { Failure, mine } from "./api.js";
import { monday, openTraining, planView } from "./calendar.js";
import { Panel } from "./charts.js";
import { GoalForm } from "./goalform.js";
import { forecastView, goalOptions, goalsView } from "./goals.js";
import { learn, learnWorkouts } from "./movements.js";
import { nextView } from "./next.js";
import { $, failed, fill, options, reveal, start } from "./page.js";
import { PhaseForm } from "./phaseform.js";
import { CheckIn, readinessView } from "./readiness.js";
import { moved } from "./views.js";

const WEEKS = 6; // of the plan that are seen at once, the first of them the one before this week
const STEP = 28; // days
const ACCEPTED = 10; // pieces of accepted advice that are shown, the latest
const WORKOUTS = 50;
const EMPTY = {
  plan: "Nothing is planned in these weeks. Plan a phase below, which lays workouts on its weeks. A workout can be " +
    "planned for one day, too (POST …/workouts/{id}/trainings): the page API tells how.",
  next: "There is no workout yet. Save one with a rule of progression (POST …/workouts), and this tells what its " +
    "next session prescribes, and why.",
  readiness: "There is no readiness yet: it compares a day with your own 28 days before it, of which 7 or more need " +
    "a value. Save a check-in each morning.",
  goals: "There is no goal yet. Set one below: what is to reach which value, and by when.",
  forecast: "There is no value of this goal yet: completed trainings make them.",
};

const panels = Object.fromEntries(
  ["advice", "plan", "next", "readiness", "goals", "forecast"].map((id) => [id, new Panel(id)]),
);
const checkIn = new CheckIn($("check-in"), () => Promise.all([showReadiness(), showAdvice()]));
const goalForm = new GoalForm($("goal-form"), () => Promise.all([showGoals(), showAdvice()]));
const phaseForm = new PhaseForm($("phase"), () => Promise.all([showAdvice(), showPlan().then(showNext)]));

let first = thisWeek(); // the Monday of the first week that is seen
let planned = new Map(); // the next day on which a workout is planned, by its id
let workouts = null; // the page of them that was read with the plan

/** The day on this machine. What is today for the athlete the service says. */
function here() {
  const now = new Date();
  return new Date(now.getTime() - now.getTimezoneOffset() * 60000).toISOString().slice(0, 10);
}

function thisWeek() {
  return moved(monday(here()), { days: -7 });
}

const showAdvice = () => fill(panels.advice, async () => {
  const [report, accepted] = await Promise.all([
    mine("advice"), mine("advice/accepted", { query: { limit: ACCEPTED } }),
  ]);
  return adviceView(report, accepted, act);
});

const showPlan = () => fill(panels.plan, async () => {
  workouts = null;
  const [plan, page] = await Promise.all([
    mine("calendar", { query: { from: first, to: moved(first, { days: 7 * WEEKS - 1 }) } }),
    mine("workouts", { query: { limit: WORKOUTS } }),
  ]);
  workouts = page;
  learnWorkouts(page.items);
  if (first === thisWeek()) planned = ahead(plan);
  return planView(plan, (item) => openTraining($("training"), item));
}, EMPTY.plan);

const showNext = () => fill(panels.next, async () =>
  nextView(workouts ?? await mine("workouts", { query: { limit: WORKOUTS } }), planned), EMPTY.next);

const showReadiness = () => fill(panels.readiness, async () => readinessView(await mine("readiness")), EMPTY.readiness);

const showForecast = () => fill(panels.forecast, async () => {
  const id = $("goal").value;
  return id ? forecastView(await mine(`goals/${id}/progress`)) : null;
}, EMPTY.forecast);

async function showGoals() {
  await fill(panels.goals, async () => {
    const report = await mine("goals/progress");
    options($("goal"), goalOptions(report));
    return goalsView(report, (one) => goalForm.edit(one));
  }, EMPTY.goals);
  panels.forecast.section.hidden = !$("goal").value;
  if ($("goal").value) await showForecast();
}

/** Of each workout the first day, from today on, on which a training of it is planned. */
function ahead({ day, items }) {
  const found = items.filter((item) => item.workout_id && item.day >= day && ["planned", "moved"].includes(item.state));
  return new Map(found.toReversed().map((item) => [item.workout_id, item.day]));
}

/** Do what a button of the advice says, and show what became of it. */
async function act(button, wanted) {
  button.disabled = true;
  tell("");
  try {
    tell(await change(wanted));
  } catch (error) {
    button.disabled = false;
    failed(error, (words) => tell(words, true));
    if (error.status !== 409) return; // else it is given no more, or cannot be undone by now
  }
  $("advice-result").focus();
  await Promise.all([showAdvice(), showPlan().then(showNext)]);
}

function tell(words, bad = false) {
  $("advice-result").textContent = words;
  $("advice-result").classList.toggle("bad", bad);
}

async function show() {
  reveal();
  tell("");
  try {
    await learn();
  } catch (error) {
    if (!(error instanceof Failure)) throw error; // movements are called by their slugs; the panels say what is wrong
  }
  goalForm.offer();
  goalForm.anew(here());
  await Promise.all([
    showAdvice(), showPlan().then(showNext), showReadiness(), showGoals(), checkIn.show($("day").value || here()),
    phaseForm.anew(here(), moved(monday(here()), { days: 7 })),
  ]);
}

/** See the plan from another week on. */
function see(week) {
  first = week;
  showPlan();
}

$("earlier").addEventListener("click", () => see(moved(first, { days: -STEP })));
$("later").addEventListener("click", () => see(moved(first, { days: STEP })));
$("now").addEventListener("click", () => see(thisWeek()));
$("goal").addEventListener("change", showForecast);
$("close").addEventListener("click", () => $("training").close());

start(show, $("refresh"));
