// part-machine.js: the recorded training run under one slider: loss, a sample, a head's attention and the map of the characters.
"use strict";

liveParts.machine = async (root, {base, get}) => {
  const {prompt, symbols, layers, heads, rows, map} = await get("record/run.json"), T = prompt.length, picture = new Image();
  picture.src = base + "record/attention.png"; // a row per step, a column per head; written by tools/live_record.py
  await picture.decode();
  root.replaceChildren();
  const SVG = "http://www.w3.org/2000/svg", draw = (tag, parent, attributes = {}, text) => {
    const element = parent.appendChild(document.createElementNS(SVG, tag));
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const label = make("label", root, {className: "live-label", textContent: "Training step "}), slider = Object.assign(make("input", label), {type: "range", min: 0, max: rows.length - 1, step: 1, value: 0, className: "live-wide"});
  const says = make("p", root, {className: "live-status", role: "status"}), grid = make("div", root, {className: "live-grid"});
  const panel = title => { const figure = make("section", grid); make("h3", figure, {textContent: title}); return figure; };

  const curve = draw("svg", panel("Loss"), {viewBox: "0 0 320 190", role: "img", "aria-label": "loss on unseen text over the steps, both on the slider's scale"});
  const x = i => 34 + 276*i/(rows.length - 1), y = loss => 172 - 160*(loss - 1.2)/3.2;
  for (const [name, loss] of [["unigram", 3.347], ["bigram", 2.488], ["trigram", 2.066]]) {
    draw("line", curve, {x1: 34, x2: 310, y1: y(loss), y2: y(loss), stroke: "currentColor", "stroke-dasharray": "2 4"});
    draw("text", curve, {x: 310, y: y(loss) - 4, "text-anchor": "end", "font-size": 12, fill: "currentColor"}, name);
  }
  for (const loss of [4, 3, 2]) draw("text", curve, {x: 24, y: y(loss) + 4, "text-anchor": "end", "font-size": 12, fill: "currentColor"}, loss);
  draw("polyline", curve, {points: rows.map(({val_loss}, i) => `${x(i)},${y(val_loss)}`).join(" "), fill: "none", stroke: "var(--link)", "stroke-width": 2.5});
  const dot = draw("circle", curve, {r: 6, fill: "var(--warm)"});

  const sample = make("pre", panel("What it writes"), {className: "live-sample"}), attention = panel("How a head looks");
  const chooser = make("label", attention, {textContent: "Head "}), choose = make("select", chooser), canvas = make("canvas", attention, {width: T, height: T});
  canvas.setAttribute("role", "img");
  for (let i = 0; i < layers*heads; i++) make("option", choose, {value: i, textContent: `layer ${Math.floor(i/heads)}, head ${i % heads}`});
  choose.value = 5;
  const cloud = draw("svg", panel("The table of characters"), {viewBox: "0 0 320 250", role: "img", "aria-label": "the 65 characters, in the two directions in which the final table differs most"});
  const kind = c => /[aeiou]/.test(c) ? "var(--warm)" : /[a-z]/.test(c) ? "var(--link)" : /[A-Z]/.test(c) ? "var(--green, currentColor)" : "currentColor";
  const letters = symbols.map(c => draw("text", cloud, {"text-anchor": "middle", "font-size": 13, "font-weight": 600, fill: kind(c)}, shown(c)));
  const largest = Math.max(...map.flat(2).map(Math.abs));

  function show() {
    const i = Number(slider.value), {step, train_loss, val_loss, sample: text} = rows[i], head = Number(choose.value), pen = canvas.getContext("2d");
    slider.setAttribute("aria-valuetext", `step ${step}`);
    says.textContent = `Step ${step.toLocaleString("en")}: ${val_loss.toFixed(2)} nats on unseen text, ${train_loss.toFixed(2)} on the training text.`;
    dot.setAttribute("cx", x(i)); dot.setAttribute("cy", y(val_loss));
    sample.textContent = text;
    pen.clearRect(0, 0, T, T);
    pen.drawImage(picture, head*T, i*T, T, T, 0, 0, T, T);
    canvas.setAttribute("aria-label", `attention of layer ${Math.floor(head/heads)}, head ${head % heads}, at step ${step}: each row is a character of the prompt, and the bluer a column, the more it looks there`);
    letters.forEach((letter, j) => { letter.setAttribute("x", 160 + 145*map[i][j][0]/largest); letter.setAttribute("y", 130 - 115*map[i][j][1]/largest); });
  }
  slider.oninput = choose.oninput = show;
  show();
};
