// page.js: what a reader sees and touches: a text that the model goes on with, what it expects next, where it looks.
//
// Everything from a file (symbols, names, a model card) reaches the page as text, never as HTML. Nothing is ever sent anywhere.
"use strict";

// ---- the worker -----------------------------------------------------------------------------------------------------

// Its program is read.js, gpt.js and work.js, and `more`: on the site by their addresses below `base`. In a file that a reader opened no worker may load files; there
// they stand in the page as text, in scripts marked data-live, whose type text/plain keeps the page itself from running them.
class Thread {
  constructor(base, more = []) {
    const address = name => JSON.stringify(new URL(`${name}.js`, base).href), texts = document.querySelectorAll("script[data-live][type='text/plain']");
    const program = base ? `importScripts(${["read", "gpt", "work", ...more].map(address)});` : Array.from(texts, s => s.textContent).join("\n");
    this.worker = new Worker(URL.createObjectURL(new Blob([program], {type: "text/javascript"})));
    this.waiting = new Map();
    this.tickets = 0;
    this.worker.onmessage = ({data: [ticket, answer, reason]}) => {
      const [resolve, reject] = this.waiting.get(ticket);
      this.waiting.delete(ticket);
      if (reason === undefined) resolve(answer); else reject(new Error(reason));
    };
    this.worker.onerror = event => { for (const [, reject] of this.waiting.values()) reject(new Error(event.message || "the model's thread could not start")); };
  }
  ask(what, how = {}) {
    return new Promise((resolve, reject) => {
      this.waiting.set(++this.tickets, [resolve, reject]);
      this.worker.postMessage([this.tickets, what, how]);
    });
  }
}

// ---- files of the reader's own --------------------------------------------------------------------------------------

// The checkpoint among dropped or chosen files: [path, File] pairs. A run folder has many, and best.json names the best.
async function pickCheckpoint(files) {
  const folder = path => path.slice(0, path.lastIndexOf("/") + 1), has = new Map(files), needed = ["config.json", "tokenizer.json", "model.safetensors"];
  const complete = [...new Set(files.map(([path]) => folder(path)))].filter(f => needed.every(name => has.has(f + name))).sort();
  if (!complete.length) throw new Error(`there is no checkpoint among these files: drop a run, a checkpoint's folder, or ${needed.join(", ")} together`);
  let chosen = complete.at(-1);
  for (const [path, file] of files) if (path.endsWith("best.json") && file.size < 1e4) {
    const best = folder(path) + (await readJson(file)).checkpoint + "/";
    if (complete.includes(best)) chosen = best;
  }
  const [config, tokenizer, weights] = needed.map(name => has.get(chosen + name)), manifest = has.get(chosen + "manifest.json");
  if (weights.size > 2**30 || config.size > 1e6 || tokenizer.size > 1e8 || manifest?.size > 1e6) throw new Error("these files are too large for a page");
  const bytes = await Promise.all([config, tokenizer, weights].map(file => file.arrayBuffer())), text = buffer => new TextDecoder().decode(buffer);
  if (manifest) await checkSums(manifest, needed.map((name, i) => [name, bytes[i]]));
  return {config: text(bytes[0]), tokenizer: text(bytes[1]), weights: bytes[2], name: chosen.replace(/\/$/, "") || "your files"};
}

async function readJson(file) {
  try { return Object(JSON.parse(await file.text())); } catch { throw new Error(`${file.name} isn't JSON`); }
}

// A flipped bit shows nowhere but in the sha256 that the manifest keeps. (A page that came by plain http from another machine can't compute it.)
async function checkSums(manifest, files) {
  const {files: listed} = await readJson(manifest);
  if (crypto.subtle) for (const [name, bytes] of files) {
    const sum = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), b => b.toString(16).padStart(2, "0")).join("");
    if (listed?.[name]?.sha256 !== sum) throw new Error(`${name} is damaged: it isn't what manifest.json says`);
  }
}

// All files below a dropped entry.
async function filesBelow(entry) {
  if (entry.isFile) return [[entry.fullPath.slice(1), await new Promise((resolve, reject) => entry.file(resolve, reject))]];
  const reader = entry.createReader(), found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const inner of some) found.push(...await filesBelow(inner));
    if (found.length > 5000) throw new Error("there are too many files in this folder");
  }
}

// What the reader drops on a part of the page: `take` gets a function that gives the files, as [path, File] pairs.
function onDrop(root, take) {
  root.addEventListener("dragover", event => { event.preventDefault(); root.classList.add("live-over"); });
  root.addEventListener("dragleave", () => root.classList.remove("live-over"));
  root.addEventListener("drop", event => {
    event.preventDefault();
    root.classList.remove("live-over");
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean), plain = [...event.dataTransfer.files];
    take(async () => entries.length ? (await Promise.all(entries.map(filesBelow))).flat() : plain.map(f => [f.name, f]));
  });
}

// ---- the playground -------------------------------------------------------------------------------------------------

const SHOWN = {"\n": "⏎", " ": "␣", "\t": "⇥", "": "∅"};
const shown = token => SHOWN[token] ?? token.replace(/\n/g, "⏎").replace(/ /g, "␣");
const percent = p => p < .001 ? "< 0.1 %" : `${(100*p).toFixed(p < .0995 ? 1 : 0)} %`;

const CONTROLS = [ // name, label, attributes
  ["temperature", "Temperature", {type: "range", min: 0, max: 2, step: .05, value: .8}],
  ["topK", "Top-k, 0 for all", {type: "range", min: 0, max: 50, step: 1, value: 0}],
  ["topP", "Top-p", {type: "range", min: .05, max: 1, step: .05, value: 1}],
  ["length", "Length", {type: "number", min: 1, max: 20000, value: 300}],
  ["seed", "Seed (optional)", {type: "number", min: 0, max: 4294967295}],
];

const make = (tag, parent, props = {}) => parent.appendChild(Object.assign(document.createElement(tag), props));

// A playground inside `root`. `files()` gives the checkpoint to begin with; with `own`, files can be dropped and chosen. `shows` names its parts,
// `base` is where the programs are, if not in the page. With `wait`, the files are asked for when the reader turns to the text.
function playground(root, {files, base, prompt = "ROMEO:\n", own = false, wait = "", heading = "h2", shows = ["settings", "next", "maps"],
  title = "The text: write something, then let the model go on", length = 300, enter = false, rows = 9} = {}) {
  root.replaceChildren();
  root.classList.add("live");
  const hidden = document.createElement("div"), on = part => shows.includes(part) ? root : hidden; // what isn't shown is made all the same
  let thread, described, opening, sentence = "", looking = 0, running = false, ready = false;

  // The parts of the page
  const status = make("p", root, {className: "live-status", role: "status", textContent: wait || "The model is being read …"});
  const label = make("label", root, {className: "live-label", textContent: title});
  const text = make("textarea", label, {rows, value: prompt, spellcheck: false, maxLength: 100000});
  const buttons = make("p", root, {className: "live-buttons"});
  const write = make("button", buttons, {type: "button", textContent: "Write", className: "live-main", disabled: !wait});
  const single = make("button", shows.includes("draw") ? buttons : hidden, {type: "button", textContent: "One character", disabled: true});
  const back = make("button", buttons, {type: "button", textContent: "Take back", disabled: true});
  const settings = make("div", on("settings"), {className: "live-settings"}), inputs = {};
  for (const [name, title, attributes] of CONTROLS) {
    const box = make("label", settings, {textContent: title + " "}), value = attributes.type === "range" ? make("span", box, {ariaHidden: "true"}) : null;
    const input = inputs[name] = make("input", box);
    Object.assign(input, attributes);
    const tell = () => { if (value) value.textContent = Number(input.value).toFixed(name === "topK" ? 0 : 2); };
    input.addEventListener("input", () => { tell(); lookSoon(); });
    tell();
  }
  inputs.length.value = length;
  make(heading, on("next"), {textContent: "What comes next"});
  const next = make("ol", on("next"), {className: "live-next"}), possible = make("p", on("next"), {className: "live-possible"});
  make(heading, on("surprise"), {textContent: "What surprised the model"});
  const surprised = make("p", on("surprise"), {className: "live-surprised"}), mean = make("p", on("surprise"));
  make(heading, on("maps"), {textContent: "Where the model looks"});
  const told = make("p", on("maps"), {className: "live-told"}), tokens = make("div", on("maps"), {className: "live-tokens", role: "group"});
  tokens.setAttribute("aria-label", "its last tokens");
  const heads = make("div", on("maps"), {className: "live-heads", role: "group"});
  heads.setAttribute("aria-label", "heads, a row per layer");

  const settingsNow = () => {
    const number = name => Number(inputs[name].value), seed = inputs.seed.value === "" ? Math.floor(Math.random()*2**32) : number("seed");
    return {temperature: number("temperature"), topK: number("topK"), topP: number("topP"), seed};
  };
  const say = (message, bad = false) => { status.textContent = message; status.classList.toggle("live-bad", bad); };
  const left = unknown => unknown.length ? ` Left out, as the model doesn't know them: ${unknown.slice(0, 12).map(shown).join(" ")}` : "";

  // A checkpoint, from wherever it comes
  async function open(source, name) {
    ready = false; write.disabled = single.disabled = true;
    say("The model is being read …");
    try {
      const found = await source(), fresh = new Thread(base), about = await fresh.ask("open", found);
      thread?.worker.terminate();
      [thread, described, ready, write.disabled, single.disabled] = [fresh, about, true, false, false];
      const {block_size: T, n_layer: L, n_head: H, n_embd: C} = about.config;
      sentence = `${found.name ?? name ?? "The model"}: ${about.parameters.toLocaleString("en")} parameters, ${L} ${L > 1 ? "layers" : "layer"} of ${H} ${H > 1 ? "heads" : "head"}, ${C} wide; it sees ${T} ${about.kind} at once.`;
      say(sentence);
      await look();
    } catch (error) {
      say(`Not loaded: ${error.message}.`, true);
      if (thread) { ready = true; write.disabled = single.disabled = false; }
      else { opening = null; write.disabled = !wait; } // another try
    }
  }
  const openOnce = () => opening ??= open(files, root.dataset.name);

  // Writing: the worker is asked for a little at a time, until enough is there or the reader says stop. With "draw" it is one token, and what it was drawn from is shown.
  async function go(limit = Infinity) {
    if (running) { running = false; return; }
    await openOnce();
    if (!ready || running) return;
    running = true;
    write.textContent = "Stop"; text.readOnly = true; back.disabled = single.disabled = true;
    const before = text.value, wanted = Math.min(limit, Math.max(1, Math.min(20000, Math.floor(Number(inputs.length.value)) || 300))), start = performance.now();
    const slowly = shows.includes("draw"), {seed, ...sampling} = settingsNow();
    let count = 0;
    try {
      const {unknown} = await thread.ask("begin", {text: before, seed, ...sampling});
      while (running && count < wanted) {
        const {seed: unused, ...sampling} = settingsNow(), part = await thread.ask("write", slowly ? {most: 1, sampling} : {most: wanted - count});
        count += part.tokens;
        text.value += part.text;
        text.scrollTop = text.scrollHeight;
        if (slowly) { drawNext(part); await new Promise(done => setTimeout(done, 150)); }
      }
      say(`${count} ${described.kind} in ${((performance.now() - start)/1000).toFixed(1)} s, ${Math.round(1000*count/(performance.now() - start))} a second.${left(unknown)}`);
    } catch (error) { say(`Stopped: ${error.message}.`, true); }
    running = false;
    write.textContent = "Write"; text.readOnly = false; back.disabled = single.disabled = false;
    back.onclick = () => { text.value = before; back.disabled = true; look(); };
    await look(true);
  }

  // What comes next, and where the model looks
  let timer;
  const lookSoon = () => { clearTimeout(timer); timer = setTimeout(() => look(), 150); };
  function drawNext({next: list, possible: n, drawn}) {
    next.replaceChildren();
    for (const {text: token, p} of list) if (p > 0) {
      const item = make("li", next, {className: token === drawn ? "live-drawn" : ""}), bar = make("span", item, {className: "live-bar"});
      bar.style.width = `${100*p}%`;
      make("b", item, {textContent: shown(token)});
      make("span", item, {textContent: (token === drawn ? "drawn, " : "") + percent(p)});
    }
    possible.textContent = `${n} of ${described.config.vocab_size} ${described.kind} can be drawn.`;
  }
  function drawSurprise({tokens: words, surprise}) {
    const known = surprise.slice(1), sum = known.reduce((a, b) => a + b, 0);
    surprised.replaceChildren();
    words.forEach((word, i) => {
      const span = make("span", surprised, {textContent: word === "\n" ? "⏎\n" : word});
      if (i) { span.style.backgroundColor = `rgb(214 116 28 / ${.55*Math.min(1, surprise[i]/6)})`; span.title = `${shown(word)}: ${percent(Math.exp(-surprise[i]))}, ${surprise[i].toFixed(2)} nats`; }
    });
    mean.textContent = known.length ? `On average ${(sum/known.length).toFixed(2)} nats per ${described.kind.slice(0, -1)}: the darker, the less expected.` : "";
  }
  async function look(quiet = false) {
    if (!ready || running || !["next", "maps", "surprise"].some(part => shows.includes(part))) return;
    const mine = ++looking;
    try {
      const seen = await thread.ask("look", {text: text.value, last: shows.includes("maps") ? 64 : 128, ...settingsNow()});
      if (mine !== looking) return; // a newer one is on its way
      drawNext(seen);
      drawSurprise(seen);
      if (shows.includes("maps")) drawMaps(seen, {tokens, heads, told});
      if (seen.unknown.length && !quiet) say(sentence + left(seen.unknown));
    } catch (error) { say(`Stopped: ${error.message}.`, true); }
  }

  write.onclick = () => go();
  single.onclick = () => go(1);
  text.addEventListener("focus", openOnce);
  text.addEventListener("input", () => { back.disabled = true; lookSoon(); });
  text.addEventListener("keydown", event => { if (event.key === "Enter" && (enter && !event.shiftKey || event.ctrlKey || event.metaKey) && !running) { event.preventDefault(); go(); } });

  if (own) {
    const box = document.createElement("p"), choose = (title, props) => {
      const chooser = make("label", box, {textContent: title + " "});
      const input = make("input", chooser, {type: "file", multiple: true, ...props});
      input.onchange = () => open(() => pickCheckpoint([...input.files].map(f => [f.webkitRelativePath || f.name, f])));
    };
    box.className = "live-own";
    make("span", box, {textContent: "Your own model: drop a run's folder here, or choose it. Nothing is uploaded; the files are read by this page alone."});
    choose("Folder", {webkitdirectory: true});
    choose("Files", {});
    status.before(box);
    onDrop(root, files => open(async () => pickCheckpoint(await files())));
  }
  if (!wait) openOnce();
  return {open};
}

// The tokens as buttons and every head as a small picture. The chosen token's row of the chosen head colours the tokens it looks at.
function drawMaps({tokens: words, maps, surprise}, {tokens, heads, told}) {
  const T = words.length, H = maps[0].length/T/T, state = drawMaps.state ??= {layer: 0, head: 0};
  state.layer = Math.min(state.layer, maps.length - 1);
  state.head = Math.min(state.head, H - 1);
  let at = T - 1;
  tokens.replaceChildren(); heads.replaceChildren();
  const weight = (t, s) => s > t ? 0 : maps[state.layer][(state.head*T + t)*T + s];
  const letters = words.map((word, i) => {
    const button = make("button", tokens, {type: "button", textContent: shown(word)});
    button.setAttribute("aria-label", `${shown(word)} at ${i}`);
    if (word === "\n") make("br", tokens);
    return button;
  });
  const small = maps.flatMap((map, layer) => Array.from({length: H}, (_, head) => {
    const button = make("button", heads, {type: "button"}), canvas = make("canvas", button, {width: T, height: T}), pen = canvas.getContext("2d");
    button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
    const picture = pen.createImageData(T, T);
    for (let t = 0; t < T; t++) for (let s = 0; s < T; s++) picture.data.set(s > t ? [128, 128, 128, 50] : [48, 132, 220, 255*Math.sqrt(map[(head*T + t)*T + s])], 4*(t*T + s));
    pen.putImageData(picture, 0, 0);
    return button;
  }));
  heads.style.gridTemplateColumns = `repeat(${H}, minmax(0, 4.5rem))`;
  const show = () => {
    const press = (items, chosen) => items.forEach((item, i) => { item.tabIndex = i === chosen ? 0 : -1; item.setAttribute("aria-pressed", i === chosen); });
    press(letters, at);
    press(small, state.layer*H + state.head);
    letters.forEach((letter, i) => { letter.style.backgroundColor = `rgb(58 134 200 / ${.5*Math.sqrt(weight(at, i))})`; });
    const most = words.map((word, s) => [weight(at, s), `“${shown(word)}” at ${s}`]).filter(([w]) => w >= .05).sort((a, b) => b[0] - a[0]).slice(0, 3);
    told.textContent = `Layer ${state.layer}, head ${state.head}: “${shown(words[at])}” at ${at} looks at ${most.map(([w, what]) => `${what} (${percent(w)})`).join(", ") || "many places a little"}.`
      + (surprise[at] === null ? "" : ` The model gave this token ${percent(Math.exp(-surprise[at]))}.`);
  };
  const rove = (items, columns, pick) => items.forEach((item, i) => {
    item.onclick = item.onfocus = () => { pick(i); show(); };
    item.onkeydown = event => {
      const step = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -items.length, End: items.length}[event.key];
      if (!step) return;
      event.preventDefault();
      items[Math.max(0, Math.min(items.length - 1, i + step))].focus();
    };
  });
  rove(letters, 1, i => { at = i; });
  rove(small, H, i => { [state.layer, state.head] = [Math.floor(i/H), i % H]; });
  letters.forEach((letter, i) => { letter.onpointerenter = () => { at = i; show(); }; });
  show();
}
