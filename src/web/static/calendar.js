// The plan's calendar: weeks by days, with what was planned and what became of it; and one training, opened.

import { mine } from "./api.js";
import { element, table } from "./charts.js";
import { aim, part, performed } from "./explain.js";
import { doing } from "./movements.js";
import { inShort, inWords, prescribed } from "./next.js";
import { failed } from "./page.js";
import { WEEKDAYS, counted, isKnown, moved, said, short } from "./views.js";

// Of each state its sign and its name; the style sheet gives it a form and a colour too.
const STATES = {
  planned: ["○", "planned"], moved: ["→", "moved"], begun: ["◐", "begun"], done: ["✓", "done"], missed: ["×", "missed"],
  skipped: ["–", "skipped"],
};
const SHOWN = 3; // exercises whose numbers stand in the calendar itself
const titled = ({ title }) => title ?? "Training";

/** The Monday of the day's week. */
export function monday(day) {
  return moved(day, { days: -((new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7) });
}

/** The view of a calendar; `open` is called with the item that is chosen, and null where is nothing to show. */
export function planView({ from, to, day: today, phases, items }, open) {
  if (!items.length && !phases.length) return null;
  // Roles are said, because on narrow screens the rows and cells are shown as a list.
  const caption = element("caption", "Trainings by week and day");
  const grid = part("table", [caption, head()], { className: "plan", role: "table" });
  for (let week = monday(from); week <= to; week = moved(week, { days: 7 })) {
    grid.append(weekOf(week, { today, phases, items, open }));
  }
  const count = (state) => items.filter((item) => item.state === state).length;
  const counts = Object.keys(STATES).filter(count).map((state) => `${count(state)} ${STATES[state][1]}`);
  const named = phases.map(({ name, deload, first, last }) =>
    `${name}${deload ? " (deload)" : ""}, ${short(first)} to ${short(last)}`);
  return {
    summary: `${short(from)} to ${said(to)}, as of ${said(today)}: ${counted(items.length, "training")}` +
      `${counts.length ? `, ${counts.join(", ")}` : ""}. ${named.length ? `Phases: ${named.join("; ")}.` : ""}`,
    parts: [legend(), grid],
    columns: [
      ["Day", false, "day"], ["Training", false], ["State", false], ["Prescribed", false], ["Phase", false, "spare"],
    ],
    rows: items.map((item) => [said(item.day), titled(item), stated(item), numbers(item), phased(item)]),
  };
}

function legend() {
  const entries = Object.entries(STATES).map(([state, [sign, name]]) =>
    part("li", [element("span", sign, { className: `sign ${state}`, ariaHidden: "true" }), ` ${name}`]));
  return part("ul", [...entries, part("li", [element("span", "", { className: "sign light" }), " deload"])], {
    className: "legend",
  });
}

function head() {
  const names = WEEKDAYS.map((name) => element("th", name, { scope: "col", role: "columnheader" }));
  return part("thead", [part("tr", names, { role: "row" })], { role: "rowgroup" });
}

function weekOf(first, { today, phases, items, open }) {
  const last = moved(first, { days: 6 });
  const days = WEEKDAYS.map((_, index) => moved(first, { days: index }));
  const title = element("th", `${short(first)} to ${short(last)}`, {
    scope: "rowgroup", colSpan: 7, role: "rowheader",
  });
  const here = phases.filter((phase) => phase.first <= last && phase.last >= first);
  const cells = days.map((day) => cell(day, day === today, items.filter((item) => item.day === day), open));
  return part("tbody", [
    part("tr", [title], { className: "week", role: "row" }),
    ...lanes(here).map((lane) => part("tr", band(lane, days), { className: "bands", role: "row" })),
    part("tr", cells, { className: "days", role: "row" }),
  ], { role: "rowgroup" });
}

/** Phases in as few rows as hold them without two on one day: mesocycles above their microcycles. */
function lanes(phases) {
  const made = [];
  const order = phases.toSorted((a, b) => Number(a.kind === "microcycle") - Number(b.kind === "microcycle"));
  for (const phase of order) {
    const apart = (one) => one.kind === phase.kind && (one.last < phase.first || one.first > phase.last);
    const lane = made.find((row) => row.every(apart));
    if (lane) lane.push(phase);
    else made.push([phase]);
  }
  return made;
}

function band(lane, days) {
  const cells = [];
  for (let index = 0; index < 7; index += cells.at(-1).colSpan) {
    const phase = lane.find(({ first, last }) => first <= days[index] && last >= days[index]);
    const same = (day) => lane.find(({ first, last }) => first <= day && last >= day) === phase;
    const end = days.findIndex((day, at) => at > index && !same(day));
    const name = phase ? `${phase.name}${phase.deload ? " – deload" : ""}` : "";
    cells.push(element("td", name, {
      colSpan: (end < 0 ? 7 : end) - index, title: name, role: "cell",
      className: phase ? `band ${phase.kind}${phase.deload ? " light" : ""}` : "",
    }));
  }
  return cells;
}

function cell(day, isToday, items, open) {
  const number = Number(day.slice(8));
  const weekday = element("span", `${WEEKDAYS[(new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7]} `, {
    className: "weekday",
  });
  const date = part("time", [weekday, number === 1 ? short(day) : String(number)], { dateTime: day });
  const buttons = items.map((item) => {
    const told = isKnown(item.prescriptions) ? `, prescribed: ${numbers(item)}` : "";
    const made = part("button", [
      element("span", STATES[item.state]?.[0] ?? "?", { className: "sign", ariaHidden: "true" }),
      part("span", [element("span", titled(item), { className: "title" }), ...inCell(item)]),
    ], {
      type: "button", className: `training ${item.state}${item.deload ? " light" : ""}`,
      ariaLabel: `${titled(item)}, ${said(day)}: ${stated(item)}${item.deload ? ", deload" : ""}${told}`,
    });
    made.addEventListener("click", () => open(item));
    return made;
  });
  const look = [items.length ? "some" : "", isToday ? "today" : ""].join(" ").trim();
  const made = part("td", [date, ...buttons], { className: look, role: "cell" });
  if (isToday) date.append(element("span", " today", { className: "mark" }));
  return made;
}

/** The numbers of the session that comes next, as short as a cell of the calendar wants them. */
function inCell({ prescriptions }) {
  if (!isKnown(prescriptions)) return [];
  const left = prescriptions.length - SHOWN;
  const lines = prescriptions.slice(0, SHOWN).map((one) =>
    element("span", `${doing(one)} ${inShort(one.prescription)}`, { className: "numbers" }));
  return left > 0 ? [...lines, element("span", `and ${left} more`, { className: "numbers" })] : lines;
}

/** What a training's session prescribes, in words; null where that is not told. */
function numbers({ prescriptions }) {
  if (!isKnown(prescriptions)) return null;
  return prescriptions.map((one) => `${doing(one)}: ${inWords(one)}`).join("; ");
}

function stated(item) {
  const name = STATES[item.state]?.[1] ?? item.state;
  const laid = isKnown(item.laid_day) && item.laid_day !== item.day ? `, laid on ${short(item.laid_day)}` : "";
  return `${name}${laid}`;
}

function phased(item) {
  if (!isKnown(item.phase_name)) return item.deload ? "deload" : null;
  return `${item.phase_name}, week ${item.week}${item.deload ? ", deload" : ""}`;
}

/** Show a training of the calendar: what is planned, with its targets, and what was done. */
export async function openTraining(dialog, item) {
  const body = dialog.querySelector(".body");
  dialog.querySelector("h2").textContent = titled(item);
  const lines = [`${said(item.day)}. ${item.reason}`, item.skip_reason];
  const words = lines.filter(isKnown).map((line) => element("p", line));
  const wait = element("p", "It is read …", { className: "note" });
  body.replaceChildren(...words, ...follows(item), wait);
  body.scrollTop = 0;
  body.ariaBusy = "true";
  dialog.showModal();
  try {
    const { notes, exercises } = await mine(`trainings/${item.training_id}`);
    const planned = exercises.length ? exercises.flatMap(exercise) : [element("p", "No exercise is planned in it.")];
    const title = follows(item).length ? "What the plan holds" : "Exercises";
    wait.replaceWith(element("h3", title), ...(notes ? [element("p", notes)] : []), ...planned);
  } catch (error) {
    failed(error, (text) => wait.replaceWith(element("p", text, { className: "words bad" })));
  } finally {
    body.ariaBusy = "false";
  }
}

/** What the session prescribes by now, or which session that follows from; nothing of what no rule is about. */
function follows({ prescriptions, prescriptions_reason: reason }) {
  const title = element("h3", "What the rules prescribe now");
  if (isKnown(prescriptions)) return [title, part("ul", prescriptions.map(prescribed), { className: "cards" })];
  return isKnown(reason) ? [title, element("p", reason)] : [];
}

function exercise({ name, notes, sets }) {
  const done = sets.some((set) => set.done);
  const rows = sets.map((set, index) => [
    `${index + 1}${set.type === "warmup" ? ", warm-up" : ""}`, aim(set.target, set.unit),
    ...(done ? [set.done ? performed(set) : "not done"] : []),
  ]);
  const columns = [["Set", false], ["Target", false], ...(done ? [["Done", false]] : [])];
  return [element("h4", name), ...(notes ? [element("p", notes)] : []), table(`${name}: sets`, columns, rows)];
}
