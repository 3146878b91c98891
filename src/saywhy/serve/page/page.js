// The page of `saywhy serve`: its state, which a link restores, what is asked when, and its form.

import { answerOf, article, changePanel, headline } from "./decision.js";
import { $, announce, el, percent, visible } from "./elements.js";
import { call, curlOf, decide, isDecided, Problem, requestOf, session, STYLES } from "./service.js";

const EFFORTS = {
  self: ["What the model says", "Rechecks only what the model says. The quickest; few words are shaded."],
  repair: ["And its next words", "Where that fails, rechecks its next likeliest words. A little slower."],
  search: ["Every word, and pairs", "Takes out every word, then pairs of the strongest. The slowest; shades every word."],
};
const SHADING_EFFORT = "search"; // it rechecks every word
const MODELS = { trained: "Trained", base: "Base" };

let task = null;
let running = null; // AbortController of what is being asked
let shown = null; // what the result shows: state, before, requests, decisions, earlier
let afterToken = null;

// The state: what the form asks, and what the link says behind its #

const FIELDS = ["effort", "model", "answer"];
const modelsOf = (state) => (state.model === "both" ? task.models : [state.model]);

function formState() {
  const context = Object.fromEntries(task.context.map((name) => [name, $(`context-${name}`).value]));
  return { text: $("text").value, context, ...Object.fromEntries(FIELDS.map((name) => [name, $(name).value])) };
}

/** Put a state into the form; in place of what it does not say, or this service has not, what the page begins with. */
function fillForm(state) {
  $("text").value = state.text;
  for (const name of task.context) $(`context-${name}`).value = state.context[name] ?? "";
  const start = { effort: task.effort, model: task.models[0], answer: "" };
  for (const name of FIELDS) {
    const offered = [...$(name).options].map((option) => option.value);
    $(name).value = [state[name], start[name], offered[0]].find((value) => offered.includes(value));
  }
  describeForm();
}

function linkOf(state, before) {
  const fields = new URLSearchParams({ text: state.text });
  for (const name of task.context) fields.set(`c.${name}`, state.context[name]);
  for (const name of FIELDS) if (state[name]) fields.set(name, state[name]);
  if (before) fields.set("before", before);
  return `#${fields}`;
}

/** Show what the address says; `typed` is what the field holds already, by one who was faster than the service. */
function restore(typed = "") {
  const fields = new URLSearchParams(location.hash.slice(1));
  const context = Object.fromEntries(task.context.map((name) => [name, fields.get(`c.${name}`) ?? ""]));
  fillForm({ ...Object.fromEntries(fields), text: fields.get("text") ?? typed, context });
  const state = formState();
  if (fields.has("text") && !problemOf(state)) return ask(state, fields.get("before"));
  running?.abort();
  shown = null;
  $("results").hidden = true;
  return null;
}

// Asking

/** Ask what the form says, beside the text that is shown if nothing else is different. */
async function submit() {
  const state = formState();
  const problem = problemOf(state);
  if (problem) {
    showProblem(new Problem(problem));
    $("text").focus();
    return;
  }
  const rest = (of) => JSON.stringify({ ...of, text: "" });
  const before = shown && rest(shown.state) === rest(state) && shown.state.text !== state.text ? shown.state.text : null;
  if (!shown || linkOf(state) !== linkOf(shown.state)) history.pushState(null, "", linkOf(state, before));
  await ask(state, before);
}

const charactersOf = ({ text, context }) => [...[text, ...Object.values(context)].join("")].length;

function problemOf(state) {
  if (!state.text.trim()) return "There is no text yet: type one, or pick an example.";
  const [characters, most] = [charactersOf(state), task.limits?.characters];
  return characters > most ? `That has ${characters} characters; this service takes ${most}.` : null;
}

async function ask(state, before) {
  running?.abort();
  const asking = (running = new AbortController());
  showProblem(null);
  const stopClock = startClock(asking, `Asking ${state.model === "both" ? "both models" : "the model"}`);
  const result = { state, before, requests: modelsOf(state).map((model) => requestOf(state, model)), decisions: [], earlier: [] };
  try {
    for (const request of result.requests) {
      if (before) {
        const full = { ...request, text: before };
        const quick = { ...full, effort: task.efforts[0], styles: STYLES.slice(0, 1) };
        result.earlier.push(await decide(isDecided(full) ? full : quick, asking.signal));
      }
      result.decisions.push(await decide(request, asking.signal));
    }
    shown = result;
    show();
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error, () => ask(state, before));
  } finally {
    stopClock();
  }
}

function startClock(asking, doing) {
  const started = performance.now();
  const tick = () => ($("clock").textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`);
  const ticking = setInterval(tick, 100);
  const setBusy = (isBusy) => {
    $("busy").hidden = $("stop").hidden = !isBusy;
    $("results").setAttribute("aria-busy", isBusy);
  };
  tick();
  setBusy(true);
  announce(($("waiting").textContent = doing));
  return () => {
    clearInterval(ticking);
    if (running !== asking) return; // the clock is that of another question now
    if (document.activeElement === $("stop")) $("explain").focus();
    setBusy(false);
    running = null;
  };
}

function showProblem(problem, again) {
  const isExpected = problem instanceof Problem;
  const message = isExpected ? problem.message : problem && `This page failed: ${problem.message}`;
  if (problem && !isExpected) console.error(problem);
  if (problem) announce("");
  if (problem?.needsToken) {
    afterToken = again;
    $("token-form").hidden = false;
    $("token").focus();
  }
  const retry = again && !problem.needsToken ? el("button", { type: "button", onclick: again }, "Try again") : null;
  if (problem?.wait) countDown(retry, problem.wait);
  $("problem").replaceChildren(...(message ? [el("div.note.fails", el("p", message), retry)] : []));
}

function countDown(button, seconds) {
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? `Try again in ${seconds} s` : "Try again";
  if (seconds > 0) setTimeout(() => countDown(button, seconds - 1), 1000);
}

// The result

function show() {
  const { state, before, decisions, requests } = shown;
  const isCompared = decisions.length > 1;
  const names = modelsOf(state).map((model) => (isCompared ? MODELS[model] ?? model : null));
  document.body.classList.toggle("wide", isCompared);
  $("change").replaceChildren(...(before ? [changePanel(shown, names, change)] : []));
  const canShade = task.efforts.includes(SHADING_EFFORT) && state.effort !== SHADING_EFFORT;
  $("decisions").replaceChildren(...decisions.map((decision, i) => article(decision, names[i], change, canShade && (() => shadeEveryWord(i)))));
  $("link").textContent = location.href;
  $("json").textContent = JSON.stringify(isCompared ? decisions : decisions[0], null, 2);
  $("curl").textContent = requests.map(curlOf).join("\n\n");
  $("copied").textContent = "";
  $("results").hidden = false;
  announce(decisions.map((of, i) => `${names[i] ?? ""} ${answerOf(of)}, ${percent(of.probability)}. ${headline(of)}. ${of.message}.`).join(" "));
  if ($("results").getBoundingClientRect().top > innerHeight / 2) $("results").scrollIntoView();
}

async function change(text) {
  fillForm({ ...shown.state, text });
  await submit();
  $("change").querySelector("h2")?.focus();
}

/** Ask the same again so that every word is rechecked; go on at the words of that decision. */
async function shadeEveryWord(i) {
  const { state, before } = shown;
  const shading = { ...state, effort: SHADING_EFFORT };
  fillForm(shading);
  history.pushState(null, "", linkOf(shading, before));
  await ask(shading, before);
  if (shown.state === shading) document.querySelectorAll(".words-head")[i].focus();
}

// Copies

async function copy(name) {
  try {
    await navigator.clipboard.writeText($(name).textContent);
    $("copied").textContent = "Copied.";
  } catch { // no clipboard without https, or it is not allowed
    $("source").open = true;
    getSelection().selectAllChildren($(name));
    $(name).focus();
    $("copied").textContent = "No clipboard here: the text is selected, copy it by hand.";
  }
}

// The form

function buildForm() {
  const options = (id, entries) => $(id).replaceChildren(...entries.map(([value, name]) => el("option", { value }, name)));
  const short = (text) => (text.length > 60 ? `${[...text].slice(0, 58).join("")} …` : text);
  const examples = task.examples ?? [];
  $("question").textContent = visible(task.question);
  $("text-label").textContent = visible(task.noun);
  $("context").replaceChildren(...task.context.map((name) => el(
    "p", el("label", { for: `context-${name}` }, name), el("input", { id: `context-${name}`, dir: "auto", autocomplete: "off" }),
  )));
  options("effort", task.efforts.map((effort) => [effort, EFFORTS[effort]?.[0] ?? effort]));
  options("model", [...task.models.map((model) => [model, MODELS[model] ?? model]), ...(task.models.length > 1 ? [["both", "Both, side by side"]] : [])]);
  options("answer", [["", "What the model decides"], ...Object.entries(task.labels)]);
  options("example", [["", "Examples"], ...examples.map((example, i) => [i, short(example.text ?? example)])]);
  $("model-field").hidden = task.models.length < 2;
  $("example-field").hidden = !examples.length;
}

function describeForm() {
  const most = task.limits?.characters;
  $("length").textContent = `${charactersOf(formState())}${most ? ` of ${most}` : ""} characters`;
  $("cost").textContent = EFFORTS[$("effort").value]?.[1] ?? "";
}

function pickExample() {
  const example = task.examples[$("example").value];
  const state = formState();
  $("example").value = "";
  if (example) fillForm({ ...state, text: example.text ?? example, context: { ...state.context, ...example.context } });
}

async function open() {
  try {
    task = await call("v1/task");
    showProblem(null);
    buildForm();
    $("explain").disabled = false;
    await restore($("text").value);
  } catch (error) {
    showProblem(error, open);
  }
}

function on(id, event, act) {
  $(id).addEventListener(event, (happened) => {
    if (event === "submit") happened.preventDefault();
    act(happened);
  });
}

on("ask", "submit", () => task && submit());
on("ask", "keydown", (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && task && submit());
on("ask", "input", () => task && describeForm());
on("example", "change", pickExample);
on("stop", "click", () => running?.abort());
on("token-form", "submit", () => {
  session.setItem("saywhy-token", $("token").value.trim());
  $("token").value = "";
  $("token-form").hidden = true;
  afterToken();
});
for (const name of ["link", "json", "curl"]) on(`copy-${name}`, "click", () => copy(name));
addEventListener("popstate", () => task && restore());
open();
