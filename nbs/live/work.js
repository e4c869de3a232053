// work.js: the model behind a page, in a thread of its own, so that the page answers while the model computes.
//
// The page sends [ticket, what, how]; what comes back is [ticket, answer] or [ticket, null, reason]. One request is answered after the other,
// and `write` adds a few tokens at a time: to stop, the page asks for no more.
"use strict";

let model, tokenizer, writer, stream;

// What a text becomes: ids, at least one (a model needs something to go on from), and the characters that are left out.
function understand(text) {
  const ids = tokenizer.encode(text), start = tokenizer.encode("\n");
  return {ids: ids.length ? ids : start.length ? start : [0], unknown: tokenizer.unknown(text)};
}

const likeliest = (p, n) => Array.from(p.keys()).sort((a, b) => p[b] - p[a]).slice(0, n).map(id => ({text: tokenizer.decode([id]), p: p[id]}));

const WORK = {
  // The three files of a checkpoint; the weights as bytes, or as base64 from inside a page.
  open({config, tokenizer: symbols, weights}) {
    if (typeof weights === "string") weights = Uint8Array.from(atob(weights), c => c.charCodeAt(0)).buffer;
    const checkpoint = readCheckpoint({config, tokenizer: symbols, weights}); // raises before anything is replaced
    model = new GPT(checkpoint.config, checkpoint.tensors);
    tokenizer = checkpoint.tokenizer;
    writer = null;
    let parameters = 0;
    for (const {values} of checkpoint.tensors.values()) parameters += values.length;
    return {config: checkpoint.config, parameters, kind: tokenizer instanceof Characters ? "characters" : "tokens"};
  },

  // Begin to write after a text.
  begin({text, ...sampling}) {
    const {ids, unknown} = understand(text);
    writer = new Writer(model, ids, sampling);
    stream = tokenizer.stream();
    return {unknown};
  },

  // Go on for some milliseconds or tokens, whichever ends first.
  write({most, milliseconds = 40}) {
    const end = performance.now() + milliseconds;
    let text = "", tokens = 0;
    do { text += stream(writer.next().id); tokens++; } while (tokens < most && performance.now() < end);
    return {text, tokens};
  },

  // What the model sees in the end of a text: its tokens, every attention map, how surprised it was by each token, and what it expects next.
  look({text, last, ...sampling}) {
    const {ids, unknown} = understand(text), V = model.config.vocab_size, seen = ids.slice(-Math.min(last, model.config.block_size));
    const {logits, maps} = model.read(seen, model.nothing(), {maps: true}), row = t => logits.slice(t*V, t*V + V);
    const surprise = seen.map((id, t) => t ? -Math.log(softmax(row(t - 1))[id]) : null);
    const next = likeliest(nextProbabilities(row(seen.length - 1), sampling), 10);
    return {tokens: seen.map(id => tokenizer.decode([id])), maps, surprise, next, unknown};
  },

  loss({ids}) { return model.loss(ids); },
};

// In a worker: answer. On a page this file does nothing by itself.
if (typeof document === "undefined") onmessage = ({data: [ticket, what, how]}) => {
  try { postMessage([ticket, WORK[what](how)]); } catch (error) { postMessage([ticket, null, String(error.message)]); }
};
