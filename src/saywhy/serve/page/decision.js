// How a decision is drawn: the answer, its reason and verdict, the words, what the model says.

import { el, nats, percent, quoted, sign, signed, visible } from "./elements.js";

const MARK = "[REDACTED]";
const VERDICTS = { // status: look, sign, headline, badge
  holds: ["holds", "✓", "The reason holds", "holds"],
  too_close: ["doubt", "≈", "No word decides by itself", "no better than other words"],
  does_not_hold: ["fails", "✗", "The reason does not hold", "does not hold"],
  no_single_word: ["doubt", "∅", "No single word decides", "no single word decides"],
  invalid: ["fails", "✗", "No reason that can be rechecked", "cannot be rechecked"],
  not_explainable: ["doubt", "∅", "Not explainable by a word", "not explainable"],
};
const UNKNOWN_VERDICT = ["doubt", "?", "A verdict that this page does not know", "unknown"];

const wordOf = (decision, label) => decision.label_words[label] ?? label;
export const answerOf = (decision) => wordOf(decision, decision.label);
const verdictOf = (check) => (Object.hasOwn(VERDICTS, check.status) ? VERDICTS[check.status] : UNKNOWN_VERDICT);

export function headline({ check, fallback }) {
  const [, , verdict] = verdictOf(check);
  if (fallback?.check.status !== "holds" || check.status === "holds") return verdict;
  return `${verdict}; ${fallback.words.length > 1 ? "these two do" : "another word does"}: ${quoted(fallback.words)}`;
}

/** Return a decision as an article; onEdit is called with the text without a word, onShade (if any) to recheck every word. */
export function article(decision, name, onEdit, onShade) {
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
    wordsPanel(decision, onEdit, onShade),
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

export function origin({ rank }) {
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

function wordButton(piece, decision, detail, onTakeOut) {
  const { effect } = piece;
  const share = effect ? Math.abs(effect.drop) / Math.max(Math.abs(decision.margin), 1e-6) : 0;
  const depth = [0.1, 0.3, 0.6, 1].filter((least) => share >= least).length;
  const look = !effect ? "unknown" : depth ? `${effect.drop < 0 ? "against" : "for"}.level-${depth}` : "none";
  const description = describe(piece, decision);
  const tell = () => (detail.textContent = visible(description));
  return el(
    `button.word.${look}${piece.isNamed ? ".named" : piece.isFallback ? ".fallback" : ""}`,
    { type: "button", title: description, "aria-label": `${description}. Take it out`, onclick: onTakeOut, onfocus: tell, onmouseenter: tell },
    piece.text,
  );
}

function wordsPanel(decision, onEdit, onShade) {
  const pieces = piecesOf(decision);
  const words = pieces.filter((piece) => piece.effect || piece.key);
  const detail = el("p.detail.soft.small", "Point at a word to read what it does; click it to take it out and ask again.");
  const line = el(
    "div.words", { dir: "auto", role: "toolbar", "aria-label": "Words of the text: arrow keys move, Enter takes a word out" },
    pieces.map((piece) => (words.includes(piece) ? wordButton(piece, decision, detail, () => onEdit(without(piece, pieces))) : el("span", piece.text))),
  );
  rove(line);
  const isPartly = words.some((piece) => piece.key);
  const key = (isThere, look, sample, meaning) => isThere && el("li", el(`span.word.${look}`, { "aria-hidden": "true" }, sample), ` ${meaning}`);
  const rows = [...decision.effects].sort((a, b) => b.drop - a.drop);
  return el(
    "section.panel", el("h2.words-head", { tabindex: -1 }, "What each word does"), line, detail,
    isPartly && onShade && decision.check.status !== "not_explainable" && el("p", el("button", { type: "button", onclick: onShade }, "Shade every word")),
    el(
      "ul.key.soft.small",
      key(rows.length, "for.level-3", "solid", `for ${answerOf(decision)}`),
      key(rows.some((effect) => effect.drop < 0), "against.level-3", "dashed", `against ${answerOf(decision)}`),
      key(words.some((piece) => piece.isNamed), "named", "framed", "named by the model"),
      key(words.some((piece) => piece.isFallback), "fallback", "dashed frame", "found by the ruler, not said by the model"),
      key(isPartly, "unknown", "grey", "not rechecked"),
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

/** Return the text without a word, wherever it stands. */
function without(taken, pieces) {
  const isSame = ({ effect, key }) => (taken.effect ? effect === taken.effect : key === taken.key);
  return pieces.map((piece) => (isSame(piece) ? MARK : piece.text)).join("");
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

/** Return what became of the answers when the text was edited; onBack is called with the text before. */
export function changePanel({ before, state, earlier, decisions }, names, onBack) {
  const lines = decisions.map((decision, i) => el(
    "p", names[i] && `${names[i]}: `, el("strong", decision.label === earlier[i].label ? "The answer stays" : "The answer changes"), ": ",
    [earlier[i], decision].map((of) => `${answerOf(of)} ${percent(of.probability)}`).join(" → "),
  ));
  const back = el("button", { type: "button", onclick: () => onBack(before) }, "Put it back");
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
