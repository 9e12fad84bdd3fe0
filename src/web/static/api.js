// The token, which stays in this tab, and the API as it is asked with it.

const KEY = "training-token";
const PATIENCE = 20000; // milliseconds for one answer

export const token = {
  get: () => sessionStorage.getItem(KEY),
  keep: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

/**
 * Why something could not be done, in words for people. `status` is 0 where no answer came; `faults` are what is wrong
 * with members of the body, as [name of the member, message].
 */
export class Failure extends Error {
  constructor(status, words, faults = []) {
    super(words);
    this.status = status;
    this.faults = faults;
  }
}

/** The user that a token names. It is read only to make addresses of it: the service alone checks it. */
export function userOf(text) {
  try {
    const part = text.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (char) => char.charCodeAt(0))));
    const user = claims.userId ?? claims.sub;
    if (typeof user === "string" && user) return user;
  } catch { // not a token: said below
  }
  throw new Failure(401, "This is no token of the service: it names no user.");
}

/** A metric of the user. Raises `Failure`. */
export const metric = (name, query) => mine(`metrics/${name}`, { query });

/** What the API answers at `path`, below the user's address, as `api` has it. */
export async function mine(path, request) {
  const text = token.get();
  if (text === null) throw new Failure(401, "A token is needed.");
  return api(`users/${encodeURIComponent(userOf(text))}/${path}`, request);
}

/**
 * What the API answers at `path`; null where it answers nothing. With `version` nothing is written where another is
 * stored. Raises `Failure`.
 */
export async function api(path, { method = "GET", query = {}, body, version } = {}) {
  const text = token.get();
  if (text === null) throw new Failure(401, "A token is needed.");
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const headers = { Authorization: `Bearer ${text}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  const request = { method, headers, body: body && JSON.stringify(body) };
  const asked = given.length ? `?${new URLSearchParams(given)}` : "";
  const answer = await fetched(`/api/v1/training/${path}${asked}`, request);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = await answer.json().catch(() => ({}));
  const detail = problem.detail ?? problem.title ?? `The answer was ${answer.status}.`;
  const failed = `This could not be ${method === "GET" ? "read" : "done"}. ${detail}`;
  const faults = (problem.errors ?? []).map(({ pointer = "", message }) => [pointer.split("/")[1] ?? "", message]);
  throw new Failure(answer.status, WORDS[answer.status]?.(detail) ?? failed, faults);
}

/** An answer of this service, whatever its status. Raises `Failure` where none came. */
export async function fetched(address, request = {}) {
  try {
    const signal = AbortSignal.timeout(PATIENCE);
    return await fetch(address, { ...request, signal, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Failure(0, "The service cannot be reached. Are you offline? Try again in a moment.");
  }
}

const WORDS = {
  401: (detail) => `The token was not accepted. ${detail}`,
  404: () => "The service knows no such data of this user.",
  409: (detail) => detail,
  412: () => "It was changed elsewhere meanwhile. Refresh, and try again.",
  429: () => "The service is busy. Try again in a moment.",
  503: (detail) => `The service cannot answer right now. ${detail} Try again in a moment.`,
};
