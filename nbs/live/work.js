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

// The likeliest ids, and `drawn` if it is none of them; and how many can be drawn at all.
const expected = (p, drawn) => {
  const next = likeliest(p, 10), text = drawn === undefined ? null : tokenizer.decode([drawn]);
  if (text !== null && !next.some(item => item.text === text)) next.push({text, p: p[drawn]});
  return {next, possible: p.reduce((n, share) => n + (share > 0), 0)};
};

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

  // Go on for some milliseconds or tokens, whichever ends first; with `sampling`, by other settings, and telling what the last token was drawn from.
  write({most, milliseconds = 40, sampling}) {
    const end = performance.now() + milliseconds;
    let text = "", tokens = 0, last;
    if (sampling) writer.sampling = sampling;
    do { last = writer.next(); text += stream(last.id); tokens++; } while (tokens < most && performance.now() < end);
    return {text, tokens, ...(sampling ? {...expected(last.probabilities, last.id), drawn: tokenizer.decode([last.id])} : {})};
  },

  // What the model sees in the end of a text: its tokens, every attention map, how surprised it was by each token, and what it expects next.
  look({text, last, ...sampling}) {
    const {ids, unknown} = understand(text), V = model.config.vocab_size, seen = ids.slice(-Math.min(last, model.config.block_size));
    const {logits, maps} = model.read(seen, model.nothing(), {maps: true}), row = t => logits.slice(t*V, t*V + V);
    const surprise = seen.map((id, t) => t ? -Math.log(softmax(row(t - 1))[id]) : null);
    return {tokens: seen.map(id => tokenizer.decode([id])), maps, surprise, unknown, ...expected(nextProbabilities(row(seen.length - 1), sampling))};
  },

  // What the model would say if it stopped after each layer, at token `at` of the end of a text, and how surprising the text is, with heads silenced.
  lens({text, last, at, without}) {
    const {ids, unknown} = understand(text), V = model.config.vocab_size, seen = ids.slice(-Math.min(last, model.config.block_size));
    const run = without => model.read(seen, model.nothing(), {streams: true, without}), whole = run([]), {logits, streams} = without.length ? run(without) : whole;
    const loss = logits => seen.reduce((sum, id, t) => t ? sum - Math.log(softmax(logits.slice((t - 1)*V, t*V))[id]) : 0, 0)/Math.max(1, seen.length - 1);
    const C = model.config.n_embd, t = Math.min(at ?? seen.length - 1, seen.length - 1);
    const layers = streams.map(stream => likeliest(softmax(model.guess(stream.slice(t*C, t*C + C))), 5));
    return {tokens: seen.map(id => tokenizer.decode([id])), at: t, layers, plain: loss(whole.logits), changed: loss(logits), unknown};
  },

  loss({ids}) { return model.loss(ids); },
};

// In a worker: answer. On a page this file does nothing by itself.
if (typeof document === "undefined") onmessage = ({data: [ticket, what, how]}) => {
  try { postMessage([ticket, WORK[what](how)]); } catch (error) { postMessage([ticket, null, String(error.message)]); }
};
