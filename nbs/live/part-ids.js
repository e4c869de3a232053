// part-ids.js: text to ids and back while one types, with the 65 symbols of the plays.
"use strict";

liveParts.ids = async (root, {get, script}) => {
  await script("read.js");
  const tokenizer = readTokenizer(await get("shakespeare-char/tokenizer.json", "text"));
  root.replaceChildren();
  const box = (title, rows) => make("textarea", make("label", root, {className: "live-label", textContent: title}), {rows, spellcheck: false});
  const text = box("Text", 3), numbers = box("Ids", 3), says = make("p", root, {className: "live-status", role: "status"});
  const pairs = make("div", root, {className: "live-pairs", ariaHidden: "true"}); // the same as the two boxes say, for the eye
  function show(ids, message) {
    pairs.replaceChildren();
    for (const id of ids.slice(0, 400)) { const pair = make("span", pairs); make("b", pair, {textContent: shown(tokenizer.decode([id]))}); make("span", pair, {textContent: id}); }
    says.textContent = message;
  }
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  text.oninput = () => {
    const ids = tokenizer.encode(text.value), unknown = tokenizer.unknown(text.value);
    numbers.value = ids.join(" ");
    show(ids, `${plural(ids.length, "id")}.` + (unknown.length ? ` Not among the ${tokenizer.size} symbols, so left out: ${unknown.slice(0, 12).map(shown).join(" ")}` : ""));
  };
  numbers.oninput = () => {
    const parts = numbers.value.split(/[\s,]+/).filter(Boolean), wrong = parts.filter(part => !/^\d+$/.test(part) || Number(part) >= tokenizer.size);
    const ids = parts.filter(part => !wrong.includes(part)).map(Number);
    text.value = tokenizer.decode(ids);
    show(ids, `${plural(ids.length, "id")}.` + (wrong.length ? ` No symbol has the id ${wrong.slice(0, 12).join(" ")}: they run from 0 to ${tokenizer.size - 1}.` : ""));
  };
  text.value = "to be, or not to be";
  text.oninput();
};
