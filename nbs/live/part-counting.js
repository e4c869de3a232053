// part-counting.js: chapter 01's model counts a text of the reader's, and babbles.
"use strict";

// NgramModel: how often each sequence of one to n characters occurs, and each context before any character.
class Counting {
  constructor(text, n, k = 2) {
    const letters = Array.from(text), add = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
    Object.assign(this, {letters, k, symbols: [...new Set(letters)].sort(), counts: new Map(), totals: new Map()});
    for (let m = 1; m <= n; m++) for (let i = 0; i + m <= letters.length; i++) {
      const context = letters.slice(i, i + m - 1).join("");
      add(this.counts, context + letters[i + m - 1]);
      add(this.totals, context);
    }
  }
  probability(context, c) { // `context` is a list; a shorter one decides where it was seen rarely
    const shorter = context.length ? this.probability(context.slice(1), c) : 1/this.symbols.length, before = context.join("");
    return ((this.counts.get(before + c) ?? 0) + this.k*shorter)/((this.totals.get(before) ?? 0) + this.k);
  }
  predict(context) { return Float32Array.from(this.symbols, c => this.probability(context, c)); }
}

// The longest piece of `written` that stands in `text`.
function longestCopy(written, text) {
  let best = "";
  for (let start = 0; start + best.length < written.length; start++)
    while (start + best.length < written.length && text.includes(written.slice(start, start + best.length + 1))) best = written.slice(start, start + best.length + 1);
  return best;
}

liveParts.counting = async (root, {get, script}) => {
  await script("gpt.js"); // for its darts
  const pages = await get("record/pages.txt", "text"), MOST = 8;
  root.replaceChildren();
  const text = make("textarea", make("label", root, {className: "live-label", textContent: "The text that is counted: the first pages of the plays, or yours"}), {rows: 6, spellcheck: false, value: pages, maxLength: 100000});
  const box = make("label", root, {className: "live-label", textContent: "n, the length of the longest sequence: "}), shows = make("span", box, {ariaHidden: "true"});
  const slider = Object.assign(make("input", box), {type: "range", min: 1, max: MOST, step: 1, value: 2, className: "live-wide"});
  const babble = make("button", make("p", root, {className: "live-buttons"}), {type: "button", textContent: "Babble", className: "live-main"});
  const says = make("p", root, {className: "live-status", role: "status"}), written = make("pre", root, {className: "live-sample", ariaLabel: "What it writes"});
  let model;
  function write() {
    shows.textContent = slider.value;
    model ??= text.value ? new Counting(text.value, MOST) : null;
    written.textContent = "";
    if (!model) { says.textContent = "There is nothing to count: type a text."; return; }
    const n = Number(slider.value), dart = darts(Math.random()*2**32), out = model.letters.slice(0, n - 1), begin = out.length;
    for (let i = 0; i < 300; i++) out.push(model.symbols[draw(model.predict(n > 1 ? out.slice(1 - n) : []), dart())]);
    const fresh = out.slice(begin).join(""), copy = longestCopy(fresh, text.value);
    written.textContent = fresh;
    says.textContent = `${n > 1 ? `It looks at ${n - 1} character${n > 2 ? "s" : ""}` : "It looks at nothing"}, and knows ${model.symbols.length} symbols. The longest piece that it copied: “${copy.replace(/\n/g, "⏎")}”, ${copy.length} characters.`;
  }
  text.oninput = () => { model = null; write(); };
  slider.oninput = babble.onclick = write;
  write();
};
