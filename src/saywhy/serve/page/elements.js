// Elements and text of the page. What a service or a link says becomes text and attributes, never markup.

const NATS = "How far log-odds move: one nat divides the odds by 2.7; a fall larger than the margin changes the answer.";

export const $ = (id) => document.getElementById(id);
export const announce = (text) => ($("status").textContent = text);

/** Return text in which nothing unseen can hide or turn round what stands beside it. */
export function visible(text) {
  const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
  return String(text).replace(unseen, (char) => `⟨U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** Return an element: "tag.class", attributes if any, then nodes, texts and lists of them; what is false is left out. */
export function el(kind, ...content) {
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

export const quoted = (words) => words.map((word) => `“${word}”`).join(" and ");
export const percent = (share) => `${(100 * share).toFixed(share > 0.995 && share < 1 ? 1 : 0)} %`;
export const signed = (nats) => `${nats < 0 ? "−" : "+"}${Math.abs(nats).toFixed(2)}`;
export const nats = (text) => el("abbr", { title: NATS }, `${text} nats`);
export const sign = (text) => el("span", { "aria-hidden": "true" }, `${text} `);
