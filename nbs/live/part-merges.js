// part-merges.js: byte pairs learned from the reader's text, one merge after the other.
"use strict";

// The lesson's slow_merges: before each merge all pairs are counted; of equally common ones the one with the smaller ids wins.
// Gives a step per merge, [pair, how often it occurred, what is left of every word], and as the first one the bytes themselves.
function slowMerges(text) {
  let words = (text.match(WORD) ?? []).map(word => Array.from(new TextEncoder().encode(word)));
  const steps = [[null, 0, words]];
  for (;;) {
    const totals = new Map();
    let best, count = 1;
    for (const ids of words) for (let i = 0; i + 1 < ids.length; i++) { const key = ids[i]*2**20 + ids[i + 1]; totals.set(key, (totals.get(key) ?? 0) + 1); }
    for (const [key, n] of totals) if (n > count || n === count && n > 1 && key < best) [best, count] = [key, n];
    if (count < 2) break;
    const pair = [Math.floor(best/2**20), best % 2**20], id = 255 + steps.length;
    words = words.map(ids => replacePair(ids, pair, id));
    steps.push([pair, count, words]);
  }
  return steps;
}

function replacePair(ids, [a, b], id) {
  const out = [];
  for (let i = 0; i < ids.length; i++) if (ids[i] === a && ids[i + 1] === b) { out.push(id); i++; } else out.push(ids[i]);
  return out;
}

liveParts.merges = async (root, {script}) => {
  await script("read.js"); // for its cut into words
  root.replaceChildren();
  const text = make("textarea", make("label", root, {className: "live-label", textContent: "Text"}), {rows: 4, spellcheck: false, maxLength: 2000,
    value: "to be, or not to be: that is the question: whether 'tis nobler in the mind to suffer the slings and arrows of outrageous fortune, or to take arms against a sea of troubles, and by opposing end them"});
  const buttons = make("p", root, {className: "live-buttons"}), back = make("button", buttons, {type: "button", textContent: "One back"}), on = make("button", buttons, {type: "button", textContent: "Next merge", className: "live-main"});
  const slider = Object.assign(make("input", make("label", root, {className: "live-label", textContent: "Merges "})), {type: "range", min: 0, step: 1, className: "live-wide"});
  const says = make("p", root, {className: "live-status", role: "status"}), pieces = make("div", root, {className: "live-pieces"});
  let steps, tokens;
  // A token's bytes as text; bytes that are only a part of a character as two hexadecimal digits each.
  const spell = bytes => { try { return shown(new TextDecoder("utf-8", {fatal: true, ignoreBOM: true}).decode(Uint8Array.from(bytes))); } catch { return bytes.map(b => b.toString(16).padStart(2, "0")).join(" "); } };
  function learn() {
    steps = slowMerges(text.value);
    tokens = Array.from({length: 256}, (_, b) => [b]);
    for (const [[a, b]] of steps.slice(1)) tokens.push([...tokens[a], ...tokens[b]]);
    slider.max = steps.length - 1;
    slider.value = 0;
    show();
  }
  function show() {
    const at = Number(slider.value), [pair, count, words] = steps[at], left = words.reduce((sum, ids) => sum + ids.length, 0), last = steps.length - 1;
    slider.setAttribute("aria-valuetext", `${at} of ${last}`);
    back.disabled = at === 0; on.disabled = at === last;
    says.textContent = (pair ? `Merge ${at} of ${last}: “${spell(tokens[pair[0]])}” and “${spell(tokens[pair[1]])}” stood side by side ${count} times and become ${255 + at}, “${spell(tokens[255 + at])}”.` : "No merge yet: an id per byte.")
      + ` ${left} ids for ${steps[0][2].reduce((sum, ids) => sum + ids.length, 0)} bytes.` + (at === last ? " No pair occurs twice any more, so this was the last." : "");
    pieces.replaceChildren();
    for (const ids of words) {
      const word = make("span", pieces);
      for (const id of ids) make("span", word, {textContent: spell(tokens[id]), className: id === 255 + at && at ? "live-fresh" : id > 255 ? "live-joined" : "", title: `id ${id}`});
    }
  }
  on.onclick = () => { slider.value++; show(); };
  back.onclick = () => { slider.value--; show(); };
  slider.oninput = show;
  text.oninput = learn;
  learn();
};
