"use strict";
// The page of `saywhy serve`. What a service or a link says becomes text and attributes, never markup.

const SCHEMA = 1;
const STYLES = ["attribution", "redaction", "counterfactual"];
const MARK = "[REDACTED]";
const EFFORTS = {
  self: ["What the model says", "Rechecks only what the model says. The quickest; few words are shaded."],
  repair: ["And its next words", "Where that fails, rechecks its next likeliest words. A little slower."],
  search: ["Every word, and pairs", "Takes out every word, then pairs of the strongest. The slowest; shades every word."],
};
const MODELS = { trained: "Trained", base: "Base" };
const VERDICTS = { // status: look, sign, headline, badge
  holds: ["holds", "✓", "The reason holds", "holds"],
  too_close: ["doubt", "≈", "No word decides by itself", "no better than other words"],
  does_not_hold: ["fails", "✗", "The reason does not hold", "does not hold"],
  no_single_word: ["doubt", "∅", "No single word decides", "no single word decides"],
  invalid: ["fails", "✗", "No reason that can be rechecked", "cannot be rechecked"],
  not_explainable: ["doubt", "∅", "Not explainable by a word", "not explainable"],
};
const UNKNOWN_VERDICT = ["doubt", "?", "A verdict that this page does not know", "unknown"];
const NATS = "How far log-odds move: one nat divides the odds by 2.7; a fall larger than the margin changes the answer.";

const $ = (id) => document.getElementById(id);
const decided = new Map(); // request as JSON: decision, so that going back asks nothing again
let task = null;
let running = null; // AbortController of what is being asked
let shown = null; // what the result shows: state, before, requests, decisions, earlier
let afterToken = null;

// Elements and text

/** Return text in which nothing unseen can hide or turn round what stands beside it. */
function visible(text) {
  const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  return String(text).replace(unseen, (char) => `⟨U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** Return an element: "tag.class", attributes if any, then nodes, texts and lists of them; what is false is left out. */
function el(kind, ...content) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  const attributes = content[0] && Object.getPrototypeOf(content[0]) === Object.prototype ? content.shift() : {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, visible(value));
  }
  made.append(...content.flat(Infinity).filter(Boolean).map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

const quoted = (words) => words.map((word) => `“${word}”`).join(" and ");
const percent = (share) => `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`;
const signed = (nats) => `${nats < 0 ? "−" : "+"}${Math.abs(nats).toFixed(2)}`;
const nats = (text) => el("abbr", { title: NATS }, `${text} nats`);
const wordOf = (decision, label) => decision.label_words[label] ?? label;
const answerOf = (decision) => wordOf(decision, decision.label);
const verdictOf = (check) => (Object.hasOwn(VERDICTS, check.status) ? VERDICTS[check.status] : UNKNOWN_VERDICT);
const sign = (text) => el("span", { "aria-hidden": "true" }, `${text} `);
const announce = (text) => ($("status").textContent = text);

// The service

class Problem extends Error {}

const session = (() => {
  try {
    return window.sessionStorage;
  } catch {
    const kept = new Map(); // the browser keeps nothing: for as long as the page is open
    return { getItem: (name) => kept.get(name), setItem: (name, value) => kept.set(name, value) };
  }
})();
const token = () => session.getItem("saywhy-token");

async function call(path, body, signal) {
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

async function decide(body, signal) {
  const key = JSON.stringify(body);
  if (!decided.has(key)) {
    const answer = await call("v1/explain", body, signal);
    if (answer.schema !== SCHEMA || !answer.decisions?.length) throw new Problem("The service is of another version than this page: reload it.");
    decided.set(key, answer.decisions[0]);
  }
  return decided.get(key);
}

// The state: what the form asks, and what the link says behind its #

const FIELDS = ["effort", "model", "answer"];
const modelsOf = (state) => (state.model === "both" ? task.models : [state.model]);

function formState() {
  const context = Object.fromEntries(task.context.map((name) => [name, $(`context-${name}`).value]));
  return { text: $("text").value, context, ...Object.fromEntries(FIELDS.map((name) => [name, $(name).value])) };
}

function fillForm(state) {
  $("text").value = state.text;
  for (const name of task.context) $(`context-${name}`).value = state.context[name] ?? "";
  for (const name of FIELDS) if ([...$(name).options].some((option) => option.value === state[name])) $(name).value = state[name];
  describeForm();
}

function linkOf(state, before) {
  const fields = new URLSearchParams({ text: state.text });
  for (const name of task.context) fields.set(`c.${name}`, state.context[name]);
  for (const name of FIELDS) if (state[name]) fields.set(name, state[name]);
  if (before) fields.set("before", before);
  return `#${fields}`;
}

/** Show what the address says; what this service has not is left as it is in the form. */
function restore() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const context = Object.fromEntries(task.context.map((name) => [name, fields.get(`c.${name}`) ?? ""]));
  fillForm({ answer: "", ...Object.fromEntries(fields), text: fields.get("text") ?? "", context });
  const state = formState();
  if (!problemOf(state)) return ask(state, fields.get("before"));
  running?.abort();
  shown = null;
  $("results").hidden = true;
  return null;
}

function requestOf(state, model) {
  const asked = { text: state.text, effort: state.effort, styles: STYLES, model };
  return { ...asked, ...(task.context.length && { context: state.context }), ...(state.answer && { answer: state.answer }) };
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
        result.earlier.push(await decide(decided.has(JSON.stringify(full)) ? full : quick, asking.signal));
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
  $("change").replaceChildren(...(before ? [changePanel(names)] : []));
  $("decisions").replaceChildren(...decisions.map((decision, i) => article(decision, names[i])));
  $("link").textContent = location.href;
  $("json").textContent = JSON.stringify(isCompared ? decisions : decisions[0], null, 2);
  $("curl").textContent = requests.map(curlOf).join("\n\n");
  $("copied").textContent = "";
  $("results").hidden = false;
  announce(decisions.map((of, i) => `${names[i] ?? ""} ${answerOf(of)}, ${percent(of.probability)}. ${headline(of)}. ${of.message}.`).join(" "));
  if ($("results").getBoundingClientRect().top > innerHeight / 2) $("results").scrollIntoView();
}

function headline({ check, fallback }) {
  const [, , verdict] = verdictOf(check);
  if (fallback?.check.status !== "holds" || check.status === "holds") return verdict;
  return `${verdict}; ${fallback.words.length > 1 ? "these two do" : "another word does"}: ${quoted(fallback.words)}`;
}

function article(decision, name) {
  const { redaction, counterfactual, fallback, reason, check } = decision;
  const cards = [
    reason?.style === "attribution" || check.status === "invalid" ? card("Names the deciding word", decision, { words: [], ...reason, check }) : null,
    redaction && card("Takes the word out", decision, redaction),
    counterfactual && card(`Changes a word, so that it is ${wordOf(decision, counterfactual.named)}`, decision, counterfactual),
  ].filter(Boolean);
  return el(
    "article.decision", { "aria-label": name ?? "Decision" },
    name && el("h2", name),
    strip(decision),
    wordsPanel(decision),
    cards.length > 0 && el("section.panel", el("h2", "What the model says, three ways"), cards),
    fallback && el("section.panel.ruler", el("h2", "Found by the ruler, not said by the model"), card("Takes out what matters most", decision, fallback)),
  );
}

/** Return what is to be understood in ten seconds: the answer, why, and whether that holds. */
function strip(decision) {
  const { reason, check, confidence } = decision;
  const [look, symbol] = verdictOf(check);
  const chances = Object.entries(decision.probabilities).sort((a, b) => b[1] - a[1]);
  const bar = (share) => el("progress", { value: share, "aria-hidden": "true" });
  return el(
    "div.panel.strip",
    el(
      "div", el("p.kicker", "Answer"), el("p.answer", answerOf(decision)),
      el("dl.chances", chances.map(([label, share]) => [el("dt", wordOf(decision, label)), el("dd", bar(share), percent(share))])),
      el("p.soft.small", "margin ", nats(signed(decision.margin))),
    ),
    el("div", el("p.kicker", "Its reason"), el("p.why", reason ? quoted(reason.words) : "no reason"), reason && el("p.soft.small", origin(reason))),
    el(
      `div.verdict.${look}`, { "data-status": check.status },
      el("p.kicker", "Does it hold?"), el("p.headline", sign(symbol), headline(decision)), el("p.message", decision.message),
      confidence && el("p.small", `Of ${confidence.texts} audited decisions like this one, ${percent(confidence.share)} had a reason that held`
        + ` (95 % interval: ${percent(confidence.low)} to ${percent(confidence.high)}).`),
    ),
  );
}

function origin({ rank }) {
  if (rank === 1) return "the first that it names";
  const ending = (rank % 100 > 10 && rank % 100 < 14 ? null : [, "st", "nd", "rd"][rank % 10]) ?? "th";
  return `its ${rank}${ending} likeliest, the first that holds`;
}

// The words

/** Return the text in pieces; words have an effect or, not rechecked, a key. */
function piecesOf({ text, effects, reason, fallback }) {
  const characters = [...text]; // offsets count characters, not UTF-16 units
  const pieces = [];
  let at = 0;
  const add = (end, rest) => pieces.push({ text: characters.slice(at, end).join(""), start: at, ...rest, end: (at = end) });
  const addBetween = (end) => {
    for (const part of characters.slice(at, end).join("").split(/(\S*\[redacted\]\S*|[\p{L}\p{N}](?:\S*[\p{L}\p{N}\p{M}])?)/iu)) {
      const isWord = /^[\p{L}\p{N}]/u.test(part) && !/\[redacted\]/i.test(part);
      if (part) add(at + [...part].length, isWord ? { key: part.toLowerCase() } : {});
    }
  };
  const spans = effects.flatMap((effect) => effect.spans.map(([start, end]) => [start, end, effect]));
  for (const [start, end, effect] of spans.sort((a, b) => a[0] - b[0])) {
    addBetween(start);
    add(end, { effect });
  }
  addBetween(characters.length);
  const isWithin = ({ start, end }, marked) => marked?.spans.some(([from, to]) => from <= start && end <= to);
  return pieces.map((piece) => ({ ...piece, isNamed: isWithin(piece, reason), isFallback: isWithin(piece, fallback) && !isWithin(piece, reason) }));
}

function describe({ text, effect, isNamed, isFallback }, decision) {
  if (!effect) return `“${text}”: not rechecked by itself`;
  const stays = effect.label_without === decision.label ? "stays" : "is";
  return `“${text}” speaks ${effect.drop < 0 ? "against" : "for"} ${answerOf(decision)}: ${signed(effect.drop)} nats; without it the answer `
    + `${stays} ${wordOf(decision, effect.label_without)}${isNamed ? "; named by the model" : isFallback ? "; found by the ruler" : ""}`;
}

function wordButton(piece, pieces, decision, detail) {
  const { effect } = piece;
  const share = effect ? Math.abs(effect.drop) / Math.max(Math.abs(decision.margin), 1e-6) : 0;
  const depth = [0.1, 0.3, 0.6, 1].filter((least) => share >= least).length;
  const look = !effect ? "unknown" : depth ? `${effect.drop < 0 ? "against" : "for"}.level-${depth}` : "none";
  const description = describe(piece, decision);
  const tell = () => (detail.textContent = visible(description));
  return el(
    `button.word.${look}${piece.isNamed ? ".named" : piece.isFallback ? ".fallback" : ""}`,
    { type: "button", title: description, "aria-label": `${description}. Take it out`, onclick: () => takeOut(piece, pieces), onfocus: tell, onmouseenter: tell },
    piece.text,
  );
}

function wordsPanel(decision) {
  const pieces = piecesOf(decision);
  const words = pieces.filter((piece) => piece.effect || piece.key);
  const detail = el("p.detail.soft.small", "Point at a word to read what it does; click it to take it out and ask again.");
  const line = el(
    "div.words", { dir: "auto", role: "toolbar", "aria-label": "Words of the text: arrow keys move, Enter takes a word out" },
    pieces.map((piece) => (words.includes(piece) ? wordButton(piece, pieces, decision, detail) : el("span", piece.text))),
  );
  rove(line);
  const key = (isThere, look, sample, meaning) => isThere && el("li", el(`span.word.${look}`, { "aria-hidden": "true" }, sample), ` ${meaning}`);
  const rows = [...decision.effects].sort((a, b) => b.drop - a.drop);
  return el(
    "section.panel", el("h2", "What each word does"), line, detail,
    el(
      "ul.key.soft.small",
      key(rows.length, "for.level-3", "solid", `for ${answerOf(decision)}`),
      key(rows.some((effect) => effect.drop < 0), "against.level-3", "dashed", `against ${answerOf(decision)}`),
      key(words.some((piece) => piece.isNamed), "named", "framed", "named by the model"),
      key(words.some((piece) => piece.isFallback), "fallback", "dashed frame", "found by the ruler, not said by the model"),
      key(words.some((piece) => piece.key), "unknown", "grey", "not rechecked"),
    ),
    rows.length > 0 && el(
      "details", el("summary", "The same as a table"),
      el(
        "table", el("thead", el("tr", ["Without", "Fall in nats", "Answer"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", rows.map(({ word, drop, label_without }) => el(
          "tr", el("th", { scope: "row" }, word), el("td", signed(drop)), el("td", wordOf(decision, label_without)),
        ))),
      ),
    ),
  );
}

/** Make the words one stop of the Tab key; arrow keys move within it. */
function rove(line) {
  const buttons = [...line.querySelectorAll("button")];
  const enter = (chosen) => buttons.forEach((button) => (button.tabIndex = button === chosen ? 0 : -1));
  enter(buttons.find((button) => button.classList.contains("named")) ?? buttons[0]);
  line.addEventListener("focusin", (event) => enter(event.target));
  line.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(event.target);
    const right = getComputedStyle(line).direction === "rtl" ? -1 : 1;
    const next = { ArrowRight: at + right, ArrowLeft: at - right, ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (!buttons[next]) return;
    event.preventDefault();
    buttons[next].focus();
  });
}

function takeOut(taken, pieces) {
  const isSame = ({ effect, key }) => (taken.effect ? effect === taken.effect : key === taken.key);
  change(pieces.map((piece) => (isSame(piece) ? MARK : piece.text)).join(""));
}

async function change(text) {
  fillForm({ ...shown.state, text });
  await submit();
  $("change").querySelector("h2")?.focus();
}

// Texts beside each other

/** Return both texts in pieces [text, isKept], by their longest common sequence of words. */
function difference(before, after) {
  const [a, b] = [before, after].map((text) => text.split(/(\s+)/).filter(Boolean));
  const shortest = Math.min(a.length, b.length);
  let [head, tail] = [0, 0];
  while (head < shortest && a[head] === b[head]) head += 1;
  while (tail < shortest - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const [m, n] = [a.length - tail, b.length - tail];
  const lengths = Array.from({ length: m + 1 }, () => new Uint16Array(n + 1));
  for (let i = m - 1; i >= head; i -= 1) {
    for (let j = n - 1; j >= head; j -= 1) lengths[i][j] = a[i] === b[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
  }
  const kept = [new Set(), new Set()];
  for (let [i, j] = [head, head]; i < m && j < n; ) {
    if (a[i] === b[j]) kept[0].add(i++), kept[1].add(j++);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return [a, b].map((all, side) => all.map((text, i) => [text, i < head || i >= all.length - tail || kept[side].has(i)]));
}

function compared(before, after, names = ["Original", "Edited"]) {
  const marked = ([text, isKept], side) => (isKept || !text.trim() ? text : el(side ? "ins" : "del", text));
  return el("div.pair", difference(before, after).map((pieces, side) => el(
    "div", el("p.kicker", names[side]), el("p", { dir: "auto" }, pieces.map((piece) => marked(piece, side))),
  )));
}

function changePanel(names) {
  const { before, state, earlier, decisions } = shown;
  const lines = decisions.map((decision, i) => el(
    "p", names[i] && `${names[i]}: `, el("strong", decision.label === earlier[i].label ? "The answer stays" : "The answer changes"), ": ",
    [earlier[i], decision].map((of) => `${answerOf(of)} ${percent(of.probability)}`).join(" → "),
  ));
  const back = el("button", { type: "button", onclick: () => change(before) }, "Put it back");
  return el("section.panel", el("h2", { tabindex: -1 }, "What your edit changes"), lines, compared(before, state.text, ["Before", "Now"]), back);
}

// Explanations

function card(title, decision, { words, check, reply, named, inserted, text }) {
  const [look, symbol, , short] = verdictOf(check);
  const edited = text ?? check.text_without;
  return el(
    "div.card",
    el("div.row", el("h3", title), el(`span.badge.${look}`, sign(symbol), short)),
    words.length > 0 && el("p", quoted(words), inserted?.length > 0 && ` → ${quoted(inserted)}`),
    words.length === 0 && reply && el("p", "Its reply: ", el("q", reply)),
    edited && compared(decision.text, edited),
    el("p.soft.small", check.problem ?? outcome(decision, check, words, named)),
  );
}

function outcome(decision, { label_without, drop, chance, chance_of }, words, named) {
  if (label_without === null) return null;
  const rises = named ? drop >= 0 : drop < 0;
  const others = named ? "edits" : words.length > 1 ? "pairs" : "words";
  const chances = chance === null ? `what other ${others} do was not rechecked` : `${Math.round(chance * chance_of)} of ${chance_of} ${others} tried do that`;
  return [
    `Then the answer is ${wordOf(decision, label_without)}; ${wordOf(decision, named ?? decision.label)} ${rises ? "rises" : "falls"} by `,
    nats(Math.abs(drop).toFixed(2)), `; ${chances}.`,
  ];
}

// Copies

function curlOf(body) {
  // Escaped, for what is not ASCII may do something else in a terminal than it seems to.
  const json = JSON.stringify(body).replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const authorization = token() ? ' \\\n  -H "Authorization: Bearer $SAYWHY_TOKEN"' : "";
  return `curl -sS ${new URL("v1/explain", location.href)} \\\n  -H 'Content-Type: application/json'${authorization} \\\n  -d '${json.replaceAll("'", "'\\''")}'`;
}

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
  if (task.efforts.includes("search")) $("effort").value = "search";
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
    await restore();
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
