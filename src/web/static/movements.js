// Names of movements, for who reads them: the API names a movement by the slug of the catalogue, of the user's own
// (`own:`), or by what the user wrote (`name:`).

import { api, mine } from "./api.js";

const PAGE = 500; // movements at once
let names = new Map(); // by key
let slugs = new Map(); // of the exercises of workouts, by their ids

/** Learn the names of the catalogue and of the user's own. Raises `Failure`; what is not known is called by its slug. */
export async function learn() {
  names = new Map(); // of another user, perhaps
  const known = new Map();
  let cursor;
  do {
    const { items, next_cursor: next } = await api("exercises", { query: { limit: PAGE, cursor } });
    for (const { slug, name } of items) known.set(slug, name);
    cursor = next;
  } while (cursor);
  for (const { slug, name } of (await mine("own-exercises")).items) known.set(`own:${slug}`, name);
  names = known;
}

/** What people call the movement with this key. */
export const named = (key) => names.get(key) ?? key.replace(/^(own|name):/, "");

/** Learn which movements workouts name. */
export function learnWorkouts(workouts) {
  slugs = new Map(workouts.flatMap(({ exercises }) => exercises.map(({ id, exercise }) => [id, exercise])));
}

/** What is to be done for an exercise of a workout: by its name there, unless its rule came to another movement. */
export function doing({ exercise_id: id, name, prescription: { exercise } }) {
  const other = slugs.has(id) ? slugs.get(id) !== exercise : true;
  return exercise && other ? named(exercise) : name;
}

/** All that are known, as [key, name], by name. */
export const movements = () => [...names].toSorted(([, a], [, b]) => a.localeCompare(b, "en"));

/** The key of what was written: a movement that is called so, or else every exercise of that name. */
export function keyOf(text) {
  const folded = text.trim().toLowerCase();
  const found = [...names].find(([key, name]) => name.toLowerCase() === folded || key === folded);
  return found ? found[0] : `name:${text.trim()}`;
}
