"""Contrast of what a page shows, by the formula of WCAG 2."""

_SHOWN = """
() => {
  const numbers = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const linear = (v) => (v <= 10 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const back = numbers(getComputedStyle(at).backgroundColor);
      if (back[3] === 1) return back;
      if (back[3] > 0) throw new Error(`a half-transparent background: ${at.outerHTML}`);
    }
    return [255, 255, 255, 1];
  };
  const shown = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.disabled || element.closest("option, .unseen")) continue;
    const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(light).sort((x, y) => y - x);
    shown.push([element.textContent.trim().slice(0, 40), element.className, (a + 0.05) / (b + 0.05)]);
  }
  return shown;
}
"""


def low_contrasts(page, least=4.5):
    """Return what is shown with less contrast: its text, its class and its contrast."""
    shown = page.evaluate(_SHOWN)
    assert len(shown) > 20
    return [entry for entry in shown if entry[2] < least]
