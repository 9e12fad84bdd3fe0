// Goals: how far each is, and for one of them its values, the line through them and what that lets expect.

import { DASH, element, number } from "./charts.js";
import { more, part, rules } from "./explain.js";
import { named } from "./movements.js";
import { counted, isKnown, said } from "./views.js";

export const METRICS = {
  e1rm_kg: "Estimated one-repetition maximum",
  weight_kg: "Weight",
  reps: "Repetitions",
  hold_seconds: "Hold",
  session_volume_kg: "Load of a session",
  weekly_trainings: "Trainings a week",
  weekly_hard_sets: "Hard sets a week",
  weekly_volume_kg: "Load a week",
};
const STATES = { achieved: "Achieved", on_track: "On track", behind: "Behind", unknown: "Not known", missed: "Missed" };
const DAY = 86400000; // milliseconds
const between = (from, to) => (Date.parse(to) - Date.parse(from)) / DAY;
const value = (figure, unit) => (isKnown(figure) ? `${number(figure, 2)} ${unit}` : DASH);

/** What is to be reached, in words. */
function aimed({ goal, unit }) {
  const least = isKnown(goal.at_weight_kg) ? ` at ${number(goal.at_weight_kg, 2)} kg or more` : "";
  const movement = goal.movement ? ` of ${named(goal.movement)}` : "";
  return `${METRICS[goal.metric] ?? goal.metric}${movement}: ${value(goal.target, unit)}${least} by ${said(goal.due)}`;
}

/** How much of the way is done, as a bar and in words. */
function way({ share, share_reason: why, reason, start_value: start, best_value: best, goal, unit }) {
  const words = [
    `${isKnown(best) ? `${value(best, unit)} at best` : "no value"} since ${said(goal.start_day)}`,
    isKnown(start) ? `${value(start, unit)} at the start` : null, `${value(goal.target, unit)} to reach`,
  ].filter(isKnown).join(", ");
  if (!isKnown(share)) return element("p", `${words}. ${why && !reason.includes(why) ? why : ""}`);
  const done = Math.floor(100 * share); // 100 % is what was reached alone
  const bar = Object.assign(document.createElement("progress"), { max: 100, value: done, ariaLabel: "Way done" });
  return part("p", [bar, ` ${done} % of the way: ${words}.`]);
}

/** When it is due, as of a day. */
function due({ goal, achieved_on: on }, day) {
  if (isKnown(on)) return `reached on ${said(on)}`;
  const left = between(day, goal.due);
  if (left < 0) return `was due on ${said(goal.due)}`;
  return left ? `due in ${counted(left, "day")}` : "due today";
}

/** A goal; `edit` is called with it where it is to be changed. What the forecast says stands in its own panel too. */
function card(progress, day, edit) {
  const { goal, state, reason, forecast, forecast_reason: expected } = progress;
  const change = element("button", "Change", { type: "button", ariaLabel: `Change: ${goal.name}` });
  change.addEventListener("click", () => edit(goal));
  return part("li", [
    part("p", [element("strong", goal.name), " ", element("span", STATES[state] ?? state, { className: "tag" }),
      ` ${due(progress, day)}`], { className: "head" }),
    element("p", aimed(progress), { className: "note" }),
    way(progress),
    element("p", reason),
    forecast ? more("What is expected from what", [element("p", expected)]) : null,
    change,
  ], { className: `card ${state}` });
}

const open = ({ state }) => state !== "achieved" && state !== "missed";

/** Those that are still to be reached first, what is due next at their head; then the others, the latest first. */
function inOrder(items) {
  const date = ({ goal }) => goal.due;
  const up = (a, b) => (date(a) < date(b) ? -1 : Number(date(a) > date(b)));
  return [...items.filter(open).toSorted(up), ...items.filter((one) => !open(one)).toSorted((a, b) => up(b, a))];
}

/** The view of the progress of all goals; null where there is none. */
export function goalsView({ day, items, method }, edit) {
  if (!items.length) return null;
  return {
    summary: `${counted(items.length, "goal")}, ` +
      `${number(items.filter(({ state }) => state === "achieved").length)} achieved.`,
    parts: [part("ul", inOrder(items).map((one) => card(one, day, edit)), { className: "cards" }), rules(method)],
  };
}

/** The goals that can be chosen, as [id, name]. */
export const goalOptions = ({ items }) => inOrder(items).map(({ goal }) => [goal.id, goal.name]);

/** What the values let expect, in words. */
function expected({ forecast, unit }) {
  if (!isKnown(forecast)) return null;
  const { day, value: middle, low, high, coverage, slope_per_week: slope, observations, assumes, reached } = forecast;
  const interval = isKnown(low)
    ? `${number(100 * coverage, 0)} % interval ${value(low, unit)} to ${value(high, unit)}`
    : "no interval, because the values lie on the line exactly";
  const days = [["earliest", reached.earliest], ["expected", reached.expected], ["latest", reached.latest]];
  return more("What the forecast says and assumes", [
    element("p", `On ${said(day)}: ${value(middle, unit)}, ${interval}. The line through ` +
      `${counted(observations, "value")} ${slope < 0 ? "falls" : "rises"} by ${value(Math.abs(slope), unit)} a week.`),
    element("p", `The target is reached: ${days.map(([name, on]) => `${name} ${isKnown(on) ? said(on) : "unknown"}`)
      .join(", ")}.`),
    element("p", assumes),
  ]);
}

/** The view of the progress of one goal; null where no value is known yet. */
export function forecastView({ progress, method }) {
  const { goal, unit, forecast, evidence } = progress;
  const points = evidence.points ?? [];
  if (!points.length) return null;
  const start = points[0].day < goal.start_day ? points[0].day : goal.start_day;
  return {
    summary: `${aimed(progress)}. ${progress.forecast_reason}`,
    parts: [expected(progress), rules(method)].filter(isKnown),
    columns: [["Day", false, "day"], [`Value, ${unit}`, true]],
    rows: points.toReversed().map((point) => [said(point.day), point.value]),
    figure: (colour) => {
      const traces = [{
        type: "scatter", mode: "markers", name: "Values", x: points.map(({ day }) => day),
        y: points.map(({ value: figure }) => figure), marker: { color: colour.series[0], size: 7 },
      }, {
        type: "scatter", mode: "lines", name: "Target", x: [start, goal.due], y: [goal.target, goal.target],
        line: { color: colour.series[2], width: 2, dash: "dot" },
      }];
      if (forecast) traces.push(...foreseen(forecast, colour));
      return {
        traces,
        layout: {
          hovermode: "closest",
          xaxis: { type: "date", hoverformat: "%-d %b %Y" }, yaxis: { title: { text: unit } },
          shapes: [{
            type: "line", yref: "paper", x0: goal.due, x1: goal.due, y0: 0, y1: 1,
            line: { color: colour.muted, width: 1, dash: "dash" },
          }],
          annotations: [{
            x: goal.due, yref: "paper", y: 1, text: `due ${said(goal.due)}`, showarrow: false, xanchor: "right", xshift: -12,
            font: { color: colour.muted },
          }],
        },
      };
    },
  };
}

/** The line from the first value to the day of the forecast, and the interval there. */
function foreseen({ first, day, value: middle, low, high, coverage, slope_per_week: slope }, colour) {
  const begin = middle - (slope * between(first, day)) / 7;
  const line = {
    type: "scatter", mode: "lines", name: "Line", x: [first, day], y: [begin, middle],
    line: { color: colour.series[1], width: 2 },
  };
  if (!isKnown(low)) return [line];
  return [line, {
    type: "scatter", mode: "markers", name: `${number(100 * coverage, 0)} % interval`, x: [day], y: [middle],
    marker: { color: colour.series[1], size: 9, symbol: "diamond" },
    error_y: {
      type: "data", symmetric: false, array: [high - middle], arrayminus: [middle - low], color: colour.series[1],
      thickness: 3, width: 8,
    },
  }];
}
