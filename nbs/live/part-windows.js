// part-windows.js: a window that the reader drags over the first pages of the plays, and the questions that it asks.
"use strict";

liveParts.windows = async (root, {get, script}) => {
  await script("read.js");
  const text = await get("record/pages.txt", "text"), tokenizer = readTokenizer(await get("shakespeare-char/tokenizer.json", "text"));
  root.replaceChildren();
  const settings = make("div", root, {className: "live-settings"}), slider = (title, min, max, value) => {
    const box = make("label", settings, {textContent: title + " "}), shows = make("span", box, {ariaHidden: "true"});
    return Object.assign(make("input", box), {type: "range", min, max, step: 1, value, shows, oninput: () => show()});
  };
  const begins = slider("It begins at", 0, text.length, 0), length = slider("Length T", 1, 12, 5);
  const page = make("div", root, {className: "live-page", tabIndex: 0, role: "group", ariaLabel: "The first pages: drag the window, or move it with the arrow keys"});
  const letters = Array.from(text, (c, i) => Object.assign(make("span", page, {textContent: c === "\n" ? "⏎\n" : c}), {place: i}));
  const says = make("p", root, {className: "live-status", role: "status"}), table = make("table", make("div", root, {className: "live-lens"}));
  const head = make("tr", make("thead", table)), body = make("tbody", table);
  for (const title of ["t", "x", "y", "the question and its answer"]) make("th", head, {scope: "col", textContent: title});
  function show(scroll = true) {
    begins.max = text.length - length.value - 1; // room for the last answer
    const start = Number(begins.value), T = Number(length.value), id = c => tokenizer.encode(c)[0];
    begins.shows.textContent = start.toLocaleString("en"); length.shows.textContent = T;
    page.querySelectorAll(".live-x, .live-y").forEach(letter => { letter.className = ""; });
    for (let t = 0; t < T; t++) { letters[start + t].classList.add("live-x"); letters[start + t + 1].classList.add("live-y"); }
    if (scroll) page.scrollTop = letters[start].offsetTop - page.offsetTop - 60;
    says.textContent = `x is ids ${start} to ${start + T - 1}, y is ids ${start + 1} to ${start + T}: ${T} question${T > 1 ? "s" : ""}.`;
    body.replaceChildren();
    for (let t = 0; t < T; t++) {
      const row = make("tr", body), x = text[start + t], y = text[start + t + 1];
      make("th", row, {scope: "row", textContent: t});
      for (const c of [x, y]) { const cell = make("td", row); make("b", cell, {textContent: shown(c)}); cell.append(` ${id(c)}`); }
      make("td", row, {textContent: `${shown(text.slice(start, start + t + 1))} → ${shown(y)}`});
    }
  }
  const moveTo = (start, scroll) => { begins.value = start; show(scroll); };
  const follow = event => { // the letter under the pointer becomes the middle of the window; a finger moves the page up and down as ever
    const place = document.elementFromPoint(event.clientX, event.clientY)?.place;
    if (event.buttons && place !== undefined) moveTo(place - Math.floor(length.value/2), false);
  };
  page.onpointerdown = page.onpointermove = follow;
  page.onkeydown = event => {
    const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 40, ArrowUp: -40, Home: -text.length, End: text.length}[event.key];
    if (step) { event.preventDefault(); moveTo(Number(begins.value) + step); }
  };
  show();
};
