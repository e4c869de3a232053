// tab.js: the page on which a reader trains a GPT: a race on Shakespeare, a text of their own, and what was learned to take home.
//
// The thread (read.js, gpt.js, work.js, train.js, study.js) is asked for a tenth of a second of learning at a time; in between it writes, looks or
// packs when the reader wants that. Only files of the site itself are fetched, and nothing is sent anywhere.
"use strict";

const MARK = 1.9018, LADDER = [["uniform", 4.174], ["unigram", 3.347], ["bigram", 2.488], ["trigram", 2.066], ["the mark", MARK], ["4-gram", 1.79]];

// ---- the drawing ----------------------------------------------------------------------------------------------------

// A loss that falls over the rungs of a ladder, drawn anew at the width that the page has.
class Chart {
  constructor(parent) {
    this.svg = parent.appendChild(this.element("svg", {role: "img", class: "tab-chart"}));
    new ResizeObserver(() => this.draw()).observe(parent);
    this.reset(LADDER, 1);
  }
  element(tag, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }
  reset(rungs, most) { Object.assign(this, {rungs, most, points: [], smooth: 0, seen: 0, end: null}); this.draw(); }

  // A loss at a place between 0 and `most`; the line is a running mean, or the noise of single batches would hide it.
  add(at, loss) {
    this.smooth = .9*this.smooth + .1*loss;
    this.points.push([at, this.smooth/(1 - .9**++this.seen)]);
  }
  get now() { return this.points.at(-1)?.[1] ?? Infinity; }

  draw() {
    const width = this.svg.parentNode?.clientWidth || 600, height = 280, [left, right, top, bottom] = [8, 8, 14, 22];
    const highest = this.rungs[0][1]*1.03, lowest = Math.min(1.6, this.rungs.at(-1)[1] - .1, this.now - .1, this.end ?? 9);
    const x = at => left + (width - left - right)*Math.min(1, at/this.most), y = loss => top + (height - top - bottom)*(highest - loss)/(highest - lowest);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren();
    const put = (...what) => this.svg.appendChild(this.element(...what));
    let above = -Infinity; // where two rungs are close, the name of the second stands on the left
    for (const [name, loss] of this.rungs) {
      const at = y(loss), free = at - above > 14;
      put("line", {x1: left, x2: width - right, y1: at, y2: at, class: loss === MARK ? "tab-rung tab-mark" : "tab-rung"});
      put("text", {x: free ? width - right - 16 : left, y: at - 3, "text-anchor": free ? "end" : "start"}, `${name} ${loss.toFixed(2)}`);
      if (free) above = at;
    }
    const step = Math.max(1, Math.ceil(this.points.length/width)), shown = this.points.filter((_, i) => i % step === 0 || i === this.points.length - 1);
    if (shown.length) put("polyline", {points: shown.map(([at, loss]) => `${x(at).toFixed(1)},${y(loss).toFixed(1)}`).join(" "), class: "tab-line"});
    if (this.end !== null) {
      put("circle", {cx: width - right - 4, cy: y(this.end), r: 5, class: "tab-end"});
      put("text", {x: width/2, y: y(this.end) - 3, "text-anchor": "middle", class: "tab-told"}, `the check: ${this.end.toFixed(2)}`);
    }
    put("text", {x: left, y: height - 5}, "nats per character, while it learns");
    const told = this.points.length ? `The loss fell from ${this.points[0][1].toFixed(2)} to ${(this.end ?? this.now).toFixed(2)} nats.` : "Nothing was learned yet.";
    this.svg.setAttribute("aria-label", `${told} Lines: ${this.rungs.map(([name, loss]) => `${name} ${loss.toFixed(2)}`).join(", ")}.`);
  }
}

// ---- files ----------------------------------------------------------------------------------------------------------

function download(name, content, type) {
  const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(new Blob([content], {type})), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function siteFile(address, kind = "text") {
  const answer = await fetch(new URL(address, document.baseURI));
  if (!answer.ok) throw new Error(`${address.split("/").at(-1)} could not be fetched`);
  return answer[kind]();
}

const base64 = bytes => new Promise((resolve, reject) => {
  const reader = Object.assign(new FileReader(), {onload: () => resolve(reader.result.split(",")[1]), onerror: reject});
  reader.readAsDataURL(new Blob([bytes]));
});

// The page that `gpt_scratch export --html` makes, from the same template and the same scripts.
async function onePage(live, name, files, prompt) {
  const text = bytes => new TextDecoder().decode(bytes), parts = {title: name.replace(/[<>&]/g, ""), card: "", about: "Made in a browser with gpt_scratch; weights stored as float32."};
  for (const part of ["read", "gpt", "work", "page"]) parts[part] = await siteFile(`${live}${part}.js`);
  parts.css = await siteFile(`${live}live.css`);
  const data = {config: text(files["config.json"]), tokenizer: text(files["tokenizer.json"]), weights: await base64(files["model.safetensors"]), name, prompt};
  parts.files = JSON.stringify(data).replace(/</g, "\\u003c");
  return (await siteFile(`${live}page.html`)).replace(/\{\{(\w+)\}\}/g, (_, part) => parts[part]);
}

// ---- the page -------------------------------------------------------------------------------------------------------

function trainHere(root, {live = "../live/", corpus = "../corpus/tinyshakespeare.txt"} = {}) {
  const button = (parent, textContent, onclick, props = {}) => make("button", parent, {type: "button", textContent, onclick, ...props});
  const choice = (parent, title, options) => {
    const select = make("select", make("label", parent, {textContent: `${title} `}));
    for (const [value, textContent] of options) make("option", select, {value, textContent});
    return select;
  };
  const count = n => n.toLocaleString("en"), steps = n => n === 1 ? "1 step" : `${count(n)} steps`;
  root.replaceChildren();
  root.classList.add("live", "tab");
  const thread = new Thread(new URL(live, document.baseURI), ["train", "study"]);
  let generation = 0, paused = false, wake = () => {}, chosen = null, checkpoint = null, shakespeare = null, name = "my-gpt", busy = false, finish = false, first = "ROMEO:\n";

  // The race
  make("h3", root, {textContent: "The race"});
  const race = make("p", root, {className: "live-buttons"});
  const start = button(race, "Race", () => begin(async () => ({text: await theCorpus(), name: "shakespeare-tab", most: Number(length.value), batch: length.selectedIndex ? 24 : 8, ladder: LADDER})), {className: "live-main"});
  const length = choice(race, "Length", [[210, "210 small steps, to the mark"], [450, "450 steps, far below it"]]);

  // A text of one's own
  make("h3", root, {textContent: "Your own text"});
  const text = make("textarea", make("label", root, {className: "live-label", textContent: "Paste a text here, at least 2,000 characters, or drop a file anywhere on this part of the page"}), {rows: 5, spellcheck: false});
  const note = make("p", root, {className: "tab-note"}), own = make("p", root, {className: "live-buttons"});
  const learn = button(own, "Learn it", () => begin(ownText), {className: "live-main"});
  const time = choice(own, "For", [[10, "10 seconds"], [30, "30 seconds"], [60, "1 minute"], [180, "3 minutes"], [600, "10 minutes"]]);
  const shape = choice(own, "Model", [["tables", "n-gram tables and a block"], ["plain", "two plain blocks"]]);
  const pick = make("input", make("label", own, {textContent: "File or checkpoint "}), {type: "file", multiple: true});

  // What happens
  make("h3", root, {textContent: "The run"});
  const status = make("p", root, {className: "live-status", role: "status", textContent: "Nothing runs yet."}), progress = make("p", root, {className: "tab-progress"});
  const steer = make("p", root, {className: "live-buttons"});
  const pause = button(steer, "Pause", () => { paused = !paused; pause.textContent = paused ? "Resume" : "Pause"; if (!paused) wake(); }, {disabled: true});
  const stop = button(steer, "Finish now", () => { finish = true; paused = false; pause.textContent = "Pause"; wake(); }, {disabled: true});
  const chart = new Chart(make("div", root)), samples = make("ol", root, {className: "tab-samples"});
  const prompt = make("textarea", make("label", root, {className: "live-label", textContent: "Talk to it, now or while it learns: it goes on with your text"}), {rows: 4, value: first, spellcheck: false});
  const talk = make("p", root, {className: "live-buttons"});
  const write = button(talk, "Write", () => goOn(), {disabled: true}), look = button(talk, "Look inside", () => lookInside(), {disabled: true});
  const maps = make("div", root, {hidden: true}), told = make("p", maps, {className: "live-told"}), tokens = make("div", maps, {className: "live-tokens", role: "group"}),
    heads = make("div", maps, {className: "live-heads", role: "group"});
  tokens.setAttribute("aria-label", "its last characters");
  heads.setAttribute("aria-label", "heads, a row per layer");

  // Take it home
  make("h3", root, {textContent: "Take it home"});
  const home = make("p", root, {className: "live-buttons"});
  const keep = button(home, "Download the checkpoint", () => guarded(async () => download(`${name}.zip`, (await thread.ask("pack", {name})).zip, "application/zip")), {disabled: true});
  const page = button(home, "Save as one page", () => guarded(async () => download(`${name}.html`, await onePage(live, name, (await thread.ask("pack", {name})).files, prompt.value.slice(0, 40)), "text/html")), {disabled: true});

  // A tab in the background goes on, and its name tells the loss.
  const title = document.title, nameIt = loss => { document.title = document.hidden ? `${loss.toFixed(2)} nats: ${title}` : title; };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) nameIt(0); });

  const say = (message, bad = false) => { status.textContent = message; status.classList.toggle("live-bad", bad); };
  const guarded = async what => { try { await what(); } catch (error) { say(`${error.message}.`, true); } };

  async function theCorpus() {
    try { return shakespeare ??= await siteFile(corpus); }
    catch { throw new Error("Shakespeare isn't among the files of this site: it comes with a build that finds the corpus (gpt_scratch evaluate fetches it). Or drop your copy of input.txt here"); }
  }

  async function ownText() {
    const given = chosen ?? {text: text.value, name: "my-gpt"}, shakes = checkpoint && !given.text;
    return {text: shakes ? await theCorpus() : given.text, name: given.name, seconds: Number(time.value), shape: shape.value, files: checkpoint?.files, ladder: shakes ? LADDER : null};
  }

  // One run: learn, tell at every rung, measure.
  async function begin(source) {
    const mine = ++generation;
    [paused, finish] = [false, false];
    wake();
    say("The text is being read …");
    chart.svg.scrollIntoView({block: "nearest"});
    try {
      const {text, name: called, most = Infinity, seconds = Infinity, batch, shape, files, ladder} = await source();
      const about = await thread.ask("study", {text, shape, files, settings: most < Infinity ? {steps: most, batch} : {}});
      if (mine !== generation) return;
      const rungs = ladder ?? about.rungs.filter(([, loss], i, all) => !i || loss < all[i - 1][1]), ahead = [...rungs];
      name = called;
      Object.assign(pause, {disabled: false, textContent: "Pause"});
      for (const part of [write, look, keep, page, stop]) part.disabled = false;
      maps.hidden = true;
      samples.replaceChildren();
      chart.reset(rungs, most < Infinity ? most : seconds);
      if (prompt.value === first) prompt.value = first = ladder ? "ROMEO:\n" : text.slice(0, 20);
      say(`${count(about.parameters)} parameters learn ${count(about.characters)} characters, ${about.config.vocab_size} different ones. A tenth is kept for the check.`);
      let taken = 0, learned = 0;
      for (let done = false; !done && !finish;) {
        if (paused) await new Promise(resolve => { wake = resolve; });
        if (mine !== generation) return;
        const part = await thread.ask("advance", {steps: most, seconds}), before = part.taken - part.losses.length;
        if (mine !== generation) return;
        part.losses.forEach((loss, i) => chart.add(most < Infinity ? before + i + 1 : part.seconds, loss));
        done = part.done;
        chart.draw();
        nameIt(chart.now);
        [taken, learned] = [part.taken, part.seconds];
        progress.textContent = `${steps(part.taken)} in ${part.seconds.toFixed(1)} s, ${(part.taken/part.seconds).toFixed(1)} a second; the last batches: ${chart.now.toFixed(3)} nats`;
        let passed;
        while (ahead.length && chart.now < ahead[0][1]) passed = ahead.shift();
        if (passed) await tell(`Step ${part.taken}, below ${passed[0]} (${passed[1].toFixed(2)}):`);
      }
      const trained = progress.textContent;
      let found;
      do {
        found = await thread.ask("check");
        if (mine !== generation) return;
        progress.textContent = `${trained}. The check: ${Math.round(100*found.done)} %`;
      } while (found.done < 1);
      chart.end = found.loss;
      nameIt(found.loss);
      chart.draw();
      await tell("At the end:");
      const total = (learned + found.seconds).toFixed(1), mark = ladder && most < Infinity ? ` The mark was ${MARK}: ${found.loss <= MARK ? "" : "not "}reached.` : "";
      progress.textContent = trained + (most < Infinity ? `. Same text, seed and steps, same checksum: ${found.checksum}` : "");
      say(`${found.loss.toFixed(4)} nats per character on the whole part that was kept, after ${steps(taken)}, in ${total} s: ${learned.toFixed(1)} of learning and ${found.seconds.toFixed(1)} of checking.${mark}`);
    } catch (error) {
      if (mine !== generation) return;
      say(`${error.message}.`, true);
    }
    pause.disabled = stop.disabled = true;
  }

  // What it writes at this moment
  async function tell(title) {
    await thread.ask("begin", {text: "\n", seed: 1337, temperature: .8});
    const {text: written} = await thread.ask("write", {most: 120, milliseconds: 2000}), item = make("li", samples);
    make("span", item, {textContent: title});
    make("pre", item, {textContent: written});
  }

  async function goOn() {
    if (busy) { busy = false; return; }
    busy = true;
    write.textContent = "Stop";
    await guarded(async () => {
      const {unknown} = await thread.ask("begin", {text: prompt.value, temperature: .8, seed: Math.floor(Math.random()*2**32)});
      if (unknown.length) say(`Left out, as the model doesn't know them: ${unknown.slice(0, 12).map(shown).join(" ")}`);
      for (let left = 300; busy && left > 0;) {
        const part = await thread.ask("write", {most: left});
        left -= part.tokens;
        prompt.value += part.text;
        prompt.scrollTop = prompt.scrollHeight;
      }
    });
    busy = false;
    write.textContent = "Write";
  }

  async function lookInside() {
    await guarded(async () => {
      const seen = await thread.ask("look", {text: prompt.value, last: 48});
      maps.hidden = false;
      drawMaps(seen, {tokens, heads, told});
    });
  }

  // Files: a checkpoint to go on with, or a text
  async function take(files) {
    await guarded(async () => {
      if (!files.length) return;
      const packed = files.find(([path]) => path.endsWith(".zip")), weights = files.some(([path]) => path.endsWith("model.safetensors"));
      if (packed) checkpoint = {name: packed[0], files: await thread.ask("unpack", {zip: await packed[1].arrayBuffer()})};
      else if (weights) { const found = await pickCheckpoint(files); checkpoint = {name: found.name, files: found}; }
      else {
        const [path, file] = files[0];
        if (file.size > 4e7) throw new Error(`${path} has ${count(file.size)} bytes; a page takes texts of at most 20,000,000 characters`);
        chosen = {name: path.split("/").at(-1).replace(/\.\w+$/, "").replace(/[^\w-]+/g, "-") || "my-gpt", text: new TextDecoder().decode(await file.arrayBuffer()), path};
        text.value = "";
      }
      say("Ready.");
    });
    remember();
  }
  function remember() {
    note.replaceChildren();
    const line = (what, forget) => { make("span", note, {textContent: `${what} `}); button(note, "Forget it", () => { forget(); remember(); }); };
    if (chosen) line(`The text: ${chosen.path}, ${count(chosen.text.length)} characters.`, () => { chosen = null; });
    if (checkpoint) line(`It goes on with ${checkpoint.name}${chosen || text.value ? "" : ", on Shakespeare if there is no other text"}.`, () => { checkpoint = null; });
    shape.disabled = !!checkpoint;
  }
  text.oninput = () => { chosen = null; remember(); };
  pick.onchange = () => take([...pick.files].map(f => [f.name, f]));
  onDrop(root, files => guarded(async () => take(await files())));
}
