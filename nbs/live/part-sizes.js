// part-sizes.js: the six numbers of chapter 05 as sliders; parameters, bytes and operations by its formulas.
"use strict";

const HEADS = [1, 2, 3, 4, 6, 8, 12]; // each divides every width of the slider

// How many numbers are learned where, as count_parameters adds them up.
const learned = ({V, T, C, L}) => [["token and position vectors", (V + T)*C], ["attention", L*(4*C*C + C)], ["feed-forward networks", L*(8*C*C + 5*C)],
  ["norms", L*4*C + 2*C], ["head", C*V + V]];
const countParameters = sizes => learned(sizes).reduce((sum, [, n]) => sum + n, 0);
const countFlops = ({V, T, C, L}) => 2*(12*C*C*L + C*V) + 4*T*C*L; // for each token, at full context

liveParts.sizes = root => {
  root.replaceChildren();
  const settings = make("div", root, {className: "live-settings"}), inputs = {};
  const says = make("p", root, {className: "live-status", role: "status"}), shares = make("ol", root, {className: "live-next live-shares"});
  for (const [name, title, min, max, step, value] of [["V", "V, symbols", 2, 50304, 1, 65], ["T", "T, context", 16, 2048, 16, 256], ["C", "C, width", 24, 1608, 24, 384],
    ["H", "H, heads", 0, HEADS.length - 1, 1, 4], ["L", "L, layers", 1, 48, 1, 6]]) {
    const box = make("label", settings, {textContent: title + " "}), shows = make("span", box, {ariaHidden: "true"});
    inputs[name] = Object.assign(make("input", box), {type: "range", min, max, step, value, shows});
    inputs[name].addEventListener("input", () => show());
  }
  const show = () => {
    const sizes = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, name === "H" ? HEADS[input.value] : Number(input.value)]));
    for (const name in inputs) { inputs[name].shows.textContent = sizes[name].toLocaleString("en"); inputs[name].setAttribute("aria-valuetext", sizes[name]); }
    const n = countParameters(sizes), size = bytes => bytes < 1e9 ? `${(bytes/1e6).toFixed(1)} MB` : `${(bytes/1e9).toFixed(2)} GB`;
    says.textContent = `${n.toLocaleString("en")} parameters: ${size(4*n)} as float32, ${size(2*n)} as bfloat16. ${countFlops(sizes).toLocaleString("en")} operations for each token, `
      + `three times that in training. A head is ${sizes.C/sizes.H} wide.`;
    shares.replaceChildren();
    for (const [what, part] of learned(sizes)) {
      const item = make("li", shares), bar = make("span", item, {className: "live-bar"});
      bar.style.width = `${100*part/n}%`;
      make("span", item, {textContent: what, className: "live-over-bar"});
      make("span", item, {textContent: percent(part/n)});
    }
  };
  show();
};
