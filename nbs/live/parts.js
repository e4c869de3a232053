// parts.js: brings the live parts of a page to life. A part is <div class="live" data-part="NAME"> with a figure or a text inside, which stays
// until the part is ready, and for good where scripts don't run. What a part needs is fetched when it comes into view, once, from the site itself.
"use strict";
(() => {
  if (window.liveParts) return; // a page may ask for this file twice
  window.liveParts = {};
  const base = new URL(".", document.currentScript.src).href, asked = new Map();
  const once = (name, ask) => asked.get(name) ?? asked.set(name, ask().catch(error => { asked.delete(name); throw error; })).get(name);
  const element = (tag, props) => new Promise((resolve, reject) => document.head.append(Object.assign(document.createElement(tag),
    {...props, onload: resolve, onerror: () => reject(new Error("a file of this site could not be fetched"))})));
  const script = name => once(name, () => element("script", {src: base + name}));
  const get = (name, kind = "json") => once(name, async () => {
    const answer = await fetch(base + name);
    if (!answer.ok) throw new Error(`${name} could not be fetched`);
    return answer[kind]();
  });
  const files = async () => ({name: "shakespeare-char", config: await get("shakespeare-char/config.json", "text"), tokenizer: await get("shakespeare-char/tokenizer.json", "text"),
    weights: await get("shakespeare-char/model.safetensors", "arrayBuffer")});

  // The playground's parts; every other part is a file of its own, which adds itself to liveParts.
  const PLAY = {
    playground: {own: true},
    home: {shows: [], rows: 8, length: 200, enter: true, wait: "Its 2.7 million numbers (2.8 MB) are fetched when you turn to the text.",
      title: "Type a line and press Enter: the model goes on (Shift+Enter begins a new line)"},
    drawing: {shows: ["draw", "settings", "next", "surprise"], rows: 5, length: 100},
    attention: {shows: ["maps"], rows: 3, length: 60, prompt: "ROMEO:\nIs it the day, my lord? ", title: "Your sentence"},
  };
  async function mount(root) {
    const name = root.dataset.part, tools = {base, get, script, files};
    try {
      await Promise.all([once("css", () => element("link", {rel: "stylesheet", href: base + "live.css"})), script("page.js")]);
      if (name in PLAY) playground(root, {...PLAY[name], base, files, heading: "h3"});
      else { await script(`part-${name}.js`); await liveParts[name](root, tools); }
      root.classList.add("live-on");
    } catch (error) { root.append(Object.assign(document.createElement("p"), {className: "live-bad", textContent: `The live part could not start: ${error.message}.`})); }
  }
  const seen = new IntersectionObserver(entries => entries.forEach(({isIntersecting, target}) => { if (isIntersecting) { seen.unobserve(target); mount(target); } }));
  const begin = () => document.querySelectorAll(".live[data-part]").forEach(root => seen.observe(root));
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin); else begin();
})();
