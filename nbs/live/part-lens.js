// part-lens.js: what the model would say after each layer, and how it fares without some of its heads.
"use strict";

liveParts.lens = async (root, {base, files}) => {
  const found = await files(), thread = new Thread(base), {config: {n_layer: L, n_head: H}} = await thread.ask("open", found), without = new Set();
  root.replaceChildren();
  const text = make("textarea", make("label", root, {className: "live-label", textContent: "Your text, of which the last 64 characters count"}), {rows: 3, spellcheck: false, value: "ROMEO:\nIs it the day, my lord? "});
  const told = make("p", root, {className: "live-told", role: "status"}), tokens = make("div", root, {className: "live-tokens", role: "group"});
  tokens.setAttribute("aria-label", "the place whose next character is guessed");
  const table = make("table", make("div", root, {className: "live-lens"})), caption = make("caption", table), body = make("tbody", table);
  make("h3", root, {textContent: "Silence heads"});
  const heads = make("div", root, {className: "live-switches", role: "group"});
  heads.setAttribute("aria-label", "heads, a row per layer; a pressed one is silent");
  heads.style.gridTemplateColumns = `repeat(${H}, minmax(0, 4rem))`;
  const back = make("button", make("p", root, {className: "live-buttons"}), {type: "button", textContent: "All heads speak"});
  let asked = 0, at = null;
  for (let layer = 0; layer < L; layer++) for (let head = 0; head < H; head++) {
    const button = make("button", heads, {type: "button", textContent: `${layer}.${head}`}), key = `${layer} ${head}`;
    button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
    button.setAttribute("aria-pressed", "false");
    button.onclick = () => { if (!without.delete(key)) without.add(key); button.setAttribute("aria-pressed", without.has(key)); show(); };
  }
  back.onclick = () => { without.clear(); for (const button of heads.children) button.setAttribute("aria-pressed", "false"); show(); };
  async function show() {
    const mine = ++asked, focused = tokens.contains(document.activeElement);
    const seen = await thread.ask("lens", {text: text.value, last: 64, at, without: [...without].map(key => key.split(" ").map(Number))});
    if (mine !== asked) return; // a newer one is on its way
    told.textContent = `The text surprises the model by ${seen.plain.toFixed(3)} nats per character` + (without.size ? `, without ${without.size === 1 ? "this head" : `these ${without.size} heads`} by ${seen.changed.toFixed(3)}.` : ".")
      + (seen.unknown.length ? ` Left out, as it doesn't know them: ${seen.unknown.slice(0, 12).map(shown).join(" ")}` : "");
    tokens.replaceChildren();
    seen.tokens.forEach((token, i) => {
      const button = make("button", tokens, {type: "button", textContent: shown(token), tabIndex: i === seen.at ? 0 : -1});
      button.setAttribute("aria-label", `${shown(token)} at ${i}`);
      button.setAttribute("aria-pressed", i === seen.at);
      button.onclick = () => { at = i; show(); };
      button.onkeydown = event => {
        const step = {ArrowRight: 1, ArrowLeft: -1, Home: -99, End: 99}[event.key];
        if (step) { event.preventDefault(); at = Math.max(0, Math.min(seen.tokens.length - 1, i + step)); button.focus(); show(); }
      };
      if (token === "\n") make("br", tokens);
      if (focused && i === seen.at) button.focus();
    });
    caption.textContent = `After “${shown(seen.tokens[seen.at])}” at ${seen.at}: the likeliest next characters, if the model ended there`;
    body.replaceChildren();
    seen.layers.forEach((guesses, i) => {
      const row = make("tr", body);
      make("th", row, {scope: "row", textContent: i ? `layer ${i - 1}` : "embedding"});
      for (const {text: token, p} of guesses) {
        const cell = make("td", row);
        make("b", cell, {textContent: shown(token)}); cell.append(` ${percent(p)}`);
        cell.style.backgroundColor = `rgb(58 134 200 / ${.45*Math.sqrt(p)})`;
      }
    });
  }
  text.oninput = () => { at = null; show(); };
  await show();
};
