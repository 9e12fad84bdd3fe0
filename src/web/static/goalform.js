// The form of a goal: sets one, changes it, deletes it.

import { mine } from "./api.js";
import { element } from "./charts.js";
import { METRICS } from "./goals.js";
import { keyOf, movements, named } from "./movements.js";
import { $, failed, options } from "./page.js";
import { Attempt, values } from "./forms.js";
import { moved, said } from "./views.js";

const UNITS = {
  e1rm_kg: "kg", weight_kg: "kg", reps: "repetitions", hold_seconds: "seconds", session_volume_kg: "kg",
  weekly_trainings: "trainings", weekly_hard_sets: "sets", weekly_volume_kg: "kg",
};
const WEEKS = { days: 84 }; // from the first day to the one that it is due on, until something else is said
const LABELS = {
  name: "Name", metric: "What is to grow", movement: "Exercise", target: "Value to reach",
  at_weight_kg: "At this weight or more", start_day: "From", due: "To be reached by",
};

/** The form; `saved` is called after each goal that was written or deleted. */
export class GoalForm {
  #stored = null; // the goal that is changed

  constructor(form, saved) {
    this.form = form;
    this.saved = saved;
    this.attempt = new Attempt(form, LABELS);
    options($("goal-metric"), Object.entries(METRICS));
    $("goal-metric").addEventListener("change", () => this.#asked());
    $("goal-leave").addEventListener("click", () => this.anew());
    $("goal-delete").addEventListener("click", () => this.#done(async () => {
      const { id, version, name } = this.#stored;
      await mine(`goals/${id}`, { method: "DELETE", version });
      return `Deleted: ${name}.`;
    }));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#done(() => this.#save());
    });
  }

  /** Be empty, for a goal that begins on that day. */
  anew(day = this.day) {
    this.day = day;
    this.form.reset();
    this.#of(null);
    const { start_day: start, due } = this.form.elements;
    [start.value, due.value] = [day, moved(day, WEEKS)];
    this.#asked();
  }

  /** Change this goal. */
  edit(goal) {
    this.form.reset();
    this.#of(goal);
    for (const { name } of this.form.elements) if (name) this.form.elements[name].value = goal[name] ?? "";
    if (goal.movement) this.form.elements.movement.value = named(goal.movement);
    this.#asked();
    this.form.closest("details").open = true;
    this.form.elements.name.focus();
  }

  /** Offer the movements that are known by now. */
  offer() {
    $("movements").replaceChildren(...movements().map(([, name]) => element("option", "", { value: name })));
  }

  #of(goal) {
    this.#stored = goal;
    this.attempt.say("");
    $("goal-delete").hidden = $("goal-leave").hidden = goal === null;
    this.form.closest("details").querySelector("summary").textContent = goal ? `Change: ${goal.name}` : "Set a goal";
  }

  /** Ask for what the metric needs, and for nothing else. */
  #asked() {
    const { metric, movement, at_weight_kg: weight, target } = this.form.elements;
    const weekly = metric.value.startsWith("weekly_");
    movement.required = !weekly;
    movement.closest("label").hidden = weekly;
    weight.closest("label").hidden = metric.value !== "reps";
    target.labels[0].firstElementChild.textContent = `Value to reach (${UNITS[metric.value]})`;
  }

  async #save() {
    const { movement, at_weight_kg: weight, target, ...said_ } = values(this.form);
    const kept = this.#stored?.notes ? { notes: this.#stored.notes } : {};
    const body = { ...kept, ...said_, target: Number(target) };
    const asked = (name) => !this.form.elements[name].closest("label").hidden;
    // A name that the form itself wrote goes back as the key that it came from.
    const same = this.#stored?.movement && movement === named(this.#stored.movement);
    if (asked("movement")) body.movement = same ? this.#stored.movement : keyOf(movement);
    if (asked("at_weight_kg") && weight) body.at_weight_kg = Number(weight);
    const goal = this.#stored
      ? await mine(`goals/${this.#stored.id}`, { method: "PUT", body, version: this.#stored.version })
      : await mine("goals", { method: "POST", body: this.attempt.identified(body) });
    return `Saved: ${goal.name}, by ${said(goal.due)}.`;
  }

  async #done(work) {
    const words = await this.attempt.make(work, failed);
    if (words === null) return;
    this.anew();
    this.attempt.tell(words);
    this.saved();
  }
}
