// What the page asks of the service, and how one asks the same without the page.

const SCHEMA = 1;
export const STYLES = ["attribution", "redaction", "counterfactual"];

const decided = new Map(); // request as JSON: decision, so that going back asks nothing again

export class Problem extends Error {}

export const session = (() => {
  try {
    return window.sessionStorage;
  } catch {
    const kept = new Map(); // the browser keeps nothing: for as long as the page is open
    return { getItem: (name) => kept.get(name), setItem: (name, value) => kept.set(name, value) };
  }
})();
const token = () => session.getItem("saywhy-token");

export async function call(path, body, signal) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(token() && { Authorization: `Bearer ${token()}` }) };
  let response, text, answer;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service cannot be reached. Is it still running?");
  }
  try {
    answer = JSON.parse(text);
  } catch {
    answer = null; // a page of errors of something in between
  }
  const { ok, status } = response;
  if (ok && answer) return answer;
  const message = answer?.error?.message ?? `it answered with HTTP ${status}`;
  if (status === 401) throw Object.assign(new Problem(token() ? "The service does not take this token." : ""), { needsToken: true });
  const wait = Math.min(Number.parseInt(response.headers.get("Retry-After"), 10) || 0, 3600); // seconds
  const busy = status === 429 && "The service is busy with other texts.";
  throw Object.assign(new Problem(busy || (answer?.error && status < 500 ? message : `The service failed: ${message}`)), { wait });
}

export const isDecided = (body) => decided.has(JSON.stringify(body));

export async function decide(body, signal) {
  const key = JSON.stringify(body);
  if (!decided.has(key)) {
    const answer = await call("v1/explain", body, signal);
    if (answer.schema !== SCHEMA || !answer.decisions?.length) throw new Problem("The service is of another version than this page: reload it.");
    decided.set(key, answer.decisions[0]);
  }
  return decided.get(key);
}

export function requestOf(state, model) {
  const asked = { text: state.text, effort: state.effort, styles: STYLES, model };
  return { ...asked, ...(Object.keys(state.context).length && { context: state.context }), ...(state.answer && { answer: state.answer }) };
}

export function curlOf(body) {
  // Escaped, for what is not ASCII may do something else in a terminal than it seems to.
  const json = JSON.stringify(body).replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const authorization = token() ? ' \\\n  -H "Authorization: Bearer $SAYWHY_TOKEN"' : "";
  return `curl -sS ${new URL("v1/explain", location.href)} \\\n  -H 'Content-Type: application/json'${authorization} \\\n  -d '${json.replaceAll("'", "'\\''")}'`;
}
