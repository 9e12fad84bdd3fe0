// What the next session of each workout prescribes, by its rules, and why.

import { mine } from "./api.js";
import { element, number, table } from "./charts.js";
import { more, part, performed, rules, sets, weighed } from "./explain.js";
import { doing } from "./movements.js";
import { failed } from "./page.js";
import { isKnown, said } from "./views.js";

const DECISIONS = {
  start: "Start", progress: "Progress", hold: "As before", deload: "Deload", harder: "Harder movement",
  easier: "Easier movement", script: "By the script",
};

/** What was done, set by set. */
const done = (session) => session.done.map(performed).join("; ");

/** The weight that is loaded, the nearest one that the plates allow. */
const loaded = ({ weight, display_weight: shown }) => shown ?? weight;

/** What is prescribed of an exercise, in words. */
export function inWords({ prescription }) {
  const { sets: count, reps, weight, unit, hold_seconds: held, rpe } = prescription;
  const shown = loaded(prescription);
  const exact = isKnown(shown) && shown !== weight ? ` (exactly ${weighed(weight, unit).replace(/^at /, "")})` : "";
  return `${sets(count, { reps, weight: shown, duration_seconds: held, rpe }, unit)}${exact}`;
}

/** The same as it is written in a plan: 3 × 8–12 × 62.5 kg. */
export function inShort({ sets: count, reps, weight, unit, display_weight: shown, hold_seconds: held }) {
  const many = isKnown(reps?.min) ? `${reps.min}–${reps.max}` : reps;
  const heavy = loaded({ weight, display_weight: shown });
  return [count, many, isKnown(held) ? `${number(held)} s` : null, heavy ? `${number(heavy, 4)} ${unit}` : null]
    .filter(isKnown).join(" × ");
}

/** What is prescribed of an exercise, and why. */
export function prescribed(item) {
  const { name, prescription } = item;
  const { decision, reason, evidence = [] } = prescription;
  const rows = evidence.map((session) => [said(session.day), done(session)]);
  return part("li", [
    part("p", [element("strong", name), " ", element("span", DECISIONS[decision] ?? decision, { className: "tag" })],
      { className: "head" }),
    element("p", `${doing(item) === name ? "" : `${doing(item)}: `}${inWords(item)}.`),
    element("p", reason, { className: "note" }),
    rows.length
      ? more("Computed from", [table(`${name}: sessions`, [["Day", false, "day"], ["Done", false]], rows)])
      : null,
  ]);
}

/** A workout, which is asked for when it is opened. */
function workout({ id, name }, planned) {
  const when = planned.has(id) ? `${name}, planned for ${said(planned.get(id))}` : name;
  const list = part("div", [element("p", "It is read …", { className: "note" })], { ariaLive: "polite" });
  const made = more(when, [list]);
  made.addEventListener("toggle", async () => {
    if (!made.open || made.dataset.read) return;
    made.dataset.read = "yes";
    try {
      const next = await mine(`workouts/${id}/next`, { query: { day: planned.get(id) } });
      const { items, deload_phase: deload, lighter, method } = next;
      const why = deload ? `It lies in a deload: ${deload}.` : "It was made a lighter session.";
      const light = deload || lighter ? element("p", why) : null;
      const all = part("ul", items.map(prescribed), { className: "cards" });
      const none = element("p", "This workout prescribes no exercise yet.");
      list.replaceChildren(...[light, items.length ? all : none, rules(method)].filter(isKnown));
    } catch (error) {
      delete made.dataset.read; // to be opened once more
      failed(error, (words) => list.replaceChildren(element("p", words, { className: "words bad" })));
    }
  });
  return made;
}

/** The view of the workouts; `planned` has the next day of those that are planned. The one that comes next is open. */
export function nextView({ items, next_cursor: cursor }, planned) {
  if (!items.length) return null;
  const order = (one) => planned.get(one.id) ?? "9999";
  const sorted = items.toSorted((a, b) => (order(a) < order(b) ? -1 : Number(order(a) > order(b))));
  const nodes = sorted.map((one) => workout(one, planned));
  nodes[0].open = true;
  const rest = cursor ? `The ${number(items.length)} workouts that were made last.` : "";
  return { summary: rest, parts: nodes };
}
