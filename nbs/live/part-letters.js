// part-letters.js: the shipped model's table of characters as a map, and the neighbors of the one that the reader points at.
"use strict";

liveParts.letters = async (root, {get}) => {
  const {symbols, map, near} = await get("record/letters.json"); // written by tools/live_record.py
  root.replaceChildren();
  const SVG = "http://www.w3.org/2000/svg", W = root.clientWidth < 500 ? 350 : 620, H = 380;
  const draw = (tag, parent, attributes = {}) => {
    const element = parent.appendChild(document.createElementNS(SVG, tag));
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const choose = make("select", make("label", root, {textContent: "Character "})), says = make("p", root, {className: "live-told", role: "status"});
  symbols.forEach((c, i) => make("option", choose, {value: i, textContent: shown(c)}));
  const plane = draw("svg", root, {viewBox: `0 0 ${W} ${H}`, role: "img", class: "live-plane", "aria-label": "the 65 characters, in the two directions in which the table differs most"});
  const scale = (values, from, to) => { const low = Math.min(...values), high = Math.max(...values); return i => from + (to - from)*(values[i] - low)/(high - low); };
  const x = scale(map.map(place => place[0]), 15, W - 15), y = scale(map.map(place => place[1]), H - 20, 20); // each direction fills the map
  const lines = near[0].map(() => draw("line", plane, {stroke: "currentColor", "stroke-width": 1.5}));
  const kind = c => /[aeiou]/.test(c) ? "var(--warm)" : /[a-z]/.test(c) ? "var(--link)" : /[A-Z]/.test(c) ? "var(--green, currentColor)" : "currentColor";
  const letters = symbols.map((c, i) => Object.assign(draw("text", plane, {x: x(i), y: y(i) + 6, "text-anchor": "middle", "font-weight": 600, fill: kind(c)}), {textContent: shown(c)}));
  const next = make("ol", root, {className: "live-next"});
  function show(i) {
    choose.value = i;
    letters.forEach((letter, j) => letter.setAttribute("font-size", j === i ? 34 : near[i].some(([k]) => k === j) ? 24 : 16));
    next.replaceChildren();
    near[i].forEach(([j, cosine], rank) => {
      for (const [name, value] of Object.entries({x1: x(i), y1: y(i), x2: x(j), y2: y(j)})) lines[rank].setAttribute(name, value);
      const item = make("li", next), bar = make("span", item, {className: "live-bar"});
      bar.style.width = `${100*cosine}%`;
      make("b", item, {textContent: shown(symbols[j])});
      make("span", item, {textContent: cosine.toFixed(2)});
    });
    says.textContent = `Nearest to “${shown(symbols[i])}” is “${shown(symbols[near[i][0][0]])}”, with a cosine of ${near[i][0][1].toFixed(2)}. Cosines count all 192 numbers of a vector, the map only two directions.`;
  }
  choose.oninput = () => show(Number(choose.value));
  plane.onpointermove = plane.onpointerdown = event => { // the character nearest to the pointer
    const {left, top, width} = plane.getBoundingClientRect(), px = (event.clientX - left)*W/width, py = (event.clientY - top)*W/width;
    const away = symbols.map((_, i) => (x(i) - px)**2 + (y(i) - py)**2);
    show(away.indexOf(Math.min(...away)));
  };
  show(symbols.indexOf("t"));
};
