// What the next session of each workout prescribes, by its rules, and why.

import { mine } from "./api.js";
import { element, number, table } from "./charts.js";
import { more, part, performed, rules, sets, weighed } from "./explain.js";
import { failed } from "./page.js";
import { isKnown, said } from "./views.js";

const DECISIONS = {
  start: "Start", progress: "Progress", hold: "As before", deload: "Deload", harder: "Harder movement",
  easier: "Easier movement", script: "By the script",
};

/** What was done, set by set. */
const done = (session) => session.done.map(performed).join("; ");

function prescribed({ name, prescription }) {
  const { reps, weight, unit, display_weight: shown, hold_seconds: held, rpe, exercise, decision } = prescription;
  const target = { reps, weight: shown ?? weight, duration_seconds: held, rpe };
  const exact = isKnown(shown) && shown !== weight ? ` (exactly ${weighed(weight, unit)})` : "";
  const evidence = prescription.evidence.map((session) => [said(session.day), done(session)]);
  return part("li", [
    part("p", [element("strong", name), " ", element("span", DECISIONS[decision] ?? decision, { className: "tag" })],
      { className: "head" }),
    element("p", `${sets(prescription.sets, target, unit)}${exact}${exercise ? `, as ${exercise}` : ""}.`),
    element("p", prescription.reason, { className: "note" }),
    evidence.length
      ? more("Computed from", [table(`${name}: sessions`, [["Day", false, "day"], ["Done", false]], evidence)])
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
      const { items, deload, method } = await mine(`workouts/${id}/next`, { query: { day: planned.get(id) } });
      const light = deload ? element("p", `The day lies in the deload phase “${deload}”.`) : null;
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
