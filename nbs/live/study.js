// study.js: what the thread behind the page `tab` does: a text becomes ids, train.js learns from them a little at a time, and what was learned becomes files.
"use strict";

let run; // the model that learns, its two parts of the text, and how long it took

const LEAST = 2000, SYMBOLS = 4096, LARGEST = 2e7; // characters of a text at least, different ones at most, characters at most
const SHAPES = { // the speedrun's model, and a plain one of the course's blocks
  tables: {variant: "speedrun", block_size: 64, n_embd: 32, n_head: 2, n_layer: 1, dropout: 0, n_gram: 4, rows: 8192},
  plain: {block_size: 64, n_embd: 64, n_head: 4, n_layer: 2, dropout: 0},
};
const RECIPES = {tables: {}, plain: {batch: 12, rate: .003, warmup: 20}};

function checkText(text) {
  if (text.length > LARGEST) refuse(`this text has ${text.length.toLocaleString("en")} characters; a page takes at most ${LARGEST.toLocaleString("en")}`);
  if (/\0/.test(text) || (text.match(/\ufffd/g) ?? []).length > text.length/200) refuse("this isn't text: it holds bytes that stand for no character. Take a file of plain text in UTF-8");
  if (text.length < LEAST) refuse(`this text has ${text.length.toLocaleString("en")} characters; it takes at least ${LEAST.toLocaleString("en")} to learn anything and to check it`);
}

// What counting reaches on the validation part: chapter 01's ladder, its first three rungs for any text. Each count begins at a small share of the rung below.
function rungs(train, val, V) {
  const single = new Float64Array(V).fill(1), pairs = new Map();
  for (const id of train) single[id]++;
  for (let i = 1; i < train.length; i++) { const key = train[i - 1]*V + train[i]; pairs.set(key, (pairs.get(key) ?? 0) + 1); }
  const p = id => single[id]/(train.length + V);
  let unigram = 0, bigram = 0;
  for (let i = 1; i < val.length; i++) {
    unigram -= Math.log(p(val[i]));
    bigram -= Math.log(((pairs.get(val[i - 1]*V + val[i]) ?? 0) + p(val[i]))/single[val[i - 1]]);
  }
  return [["uniform", Math.log(V)], ["unigram", unigram/(val.length - 1)], ["bigram", bigram/(val.length - 1)]];
}

Object.assign(WORK, {
  // Begin to learn a text: with a new model of a shape, or going on with a checkpoint's.
  study({text, shape = "tables", settings = {}, files}) {
    checkText(text);
    let config, tensors, symbols, ids;
    if (files) {
      const found = readCheckpoint(files);
      if (!(found.tokenizer instanceof Characters)) refuse("this model reads byte pairs; the page trains models of characters");
      if (found.config.dropout) refuse(`this model was trained with dropout ${found.config.dropout}; the page trains without, so it takes models of dropout 0`);
      ({config, tensors, tokenizer: symbols} = found);
      ids = Int32Array.from(symbols.encode(text));
      if (ids.length < .9*[...text].length) refuse("this model doesn't know a tenth of the text's characters: give it a text like the one it learned");
    } else {
      const found = [...new Set(text)].sort((a, b) => a.codePointAt(0) - b.codePointAt(0));
      if (found.length > SYMBOLS) refuse(`this text has ${found.length.toLocaleString("en")} different characters; the page takes at most ${SYMBOLS.toLocaleString("en")}`);
      if (found.some(c => c >= "\ud800" && c <= "\udfff" && c.length === 1)) refuse("this text holds half a character: it was cut within one");
      symbols = new Characters(found);
      config = {vocab_size: found.length, ...SHAPES[shape]};
      ids = Int32Array.from(symbols.encode(text));
    }
    const n = Math.floor(ids.length*.9), [train, val] = [ids.subarray(0, n), ids.subarray(n)];
    if (val.length < config.block_size + 2) refuse(`a tenth of the text is kept for the check, ${val.length} characters; this model needs at least ${config.block_size + 2}`);
    const kind = config.variant ? "tables" : "plain", learner = new Learner(config, {...RECIPES[kind], ...settings}, tensors);
    run = {learner, train, val, seconds: 0, check: null};
    [model, tokenizer, writer] = [learner.model, symbols, null];
    let parameters = 0;
    for (const {values} of learner.tensors.values()) parameters += values.length;
    return {config, parameters, characters: ids.length, rungs: rungs(train, val, config.vocab_size)};
  },

  // Learn for some milliseconds: `steps` in all, or until `seconds` of learning are over.
  advance({milliseconds = 80, steps = Infinity, seconds = Infinity}) {
    const {learner} = run, begin = performance.now(), losses = [], before = run.seconds;
    do {
      losses.push(learner.learn(run.train, seconds < Infinity ? Math.min(1, run.seconds/seconds) : undefined));
      run.seconds = before + (performance.now() - begin)/1000;
    } while (learner.taken < steps && run.seconds < seconds && performance.now() - begin < milliseconds);
    run.check = null;
    return {taken: learner.taken, seconds: run.seconds, losses, done: learner.taken >= steps || run.seconds >= seconds};
  },

  // The loss on the whole validation part, some milliseconds at a time.
  check({milliseconds = 80}) {
    const begin = performance.now();
    run.check ??= {steps: run.learner.evaluate(run.val), seconds: 0, found: null};
    const before = run.check.seconds;
    do {
      const {value, done} = run.check.steps.next();
      run.check.seconds = before + (performance.now() - begin)/1000;
      run.check.found = done ? run.check.found : value;
      if (done || value.done >= 1) return {...run.check.found, done: 1, seconds: run.check.seconds, checksum: run.learner.checksum()};
    } while (performance.now() - begin < milliseconds);
    return {...run.check.found, seconds: run.check.seconds};
  },

  // What was learned, as the files of a checkpoint and as one zip with a folder of this name.
  pack({name}) {
    const files = checkpointFiles(run.learner, tokenizer);
    return {files, zip: zip(Object.entries(files).map(([file, bytes]) => [`${name}/${file}`, bytes]))};
  },

  unpack({zip: buffer}) { return unzip(buffer); },
});

// ---- files ----------------------------------------------------------------------------------------------------------

// The numbers of a model as safetensors: 8 bytes with the length of the header, the header, the numbers.
function writeTensors(tensors) {
  const header = {};
  let end = 0;
  for (const [name, {shape, values}] of tensors) header[name] = {dtype: "F32", shape, data_offsets: [end, end += 4*values.length]};
  let text = JSON.stringify(header);
  text += " ".repeat((8 - text.length % 8) % 8);
  const bytes = new Uint8Array(8 + text.length + end);
  new DataView(bytes.buffer).setUint32(0, text.length, true);
  bytes.set(new TextEncoder().encode(text), 8);
  for (const [name, {values}] of tensors) bytes.set(new Uint8Array(values.buffer), 8 + text.length + header[name].data_offsets[0]);
  return bytes;
}

// JSON as Python's json.dumps(data, indent=1) writes it, so that the manifest's own hash is the one that toolbox/checkpoint computes.
const toJson = data => new TextEncoder().encode(JSON.stringify(data, null, 1) + "\n");

function checkpointFiles({config, tensors}, {symbols}) {
  const files = {"config.json": toJson({format: 1, ...config}), "model.safetensors": writeTensors(tensors),
    "tokenizer.json": new TextEncoder().encode(JSON.stringify({type: "char", symbols}))};
  const manifest = {files: Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, {bytes: bytes.length, sha256: sha256(bytes)}]))};
  return {...files, "manifest.json": toJson({...manifest, sha256: sha256(toJson(manifest))})};
}

// FIPS 180-4. The constants are the first 32 bits after the point of the square and cube roots of the first primes.
function sha256(bytes) {
  const primes = [], part = root => (root - Math.floor(root))*2**32 >>> 0;
  for (let n = 2; primes.length < 64; n++) if (primes.every(p => n % p)) primes.push(n);
  const K = Uint32Array.from(primes, p => part(Math.cbrt(p))), state = Uint32Array.from(primes.slice(0, 8), p => part(Math.sqrt(p)));
  const size = bytes.length + 72 & ~63, padded = new Uint8Array(size), view = new DataView(padded.buffer), w = new Uint32Array(64);
  padded.set(bytes);
  padded[bytes.length] = 128;
  view.setUint32(size - 8, Math.floor(bytes.length/2**29));
  view.setUint32(size - 4, bytes.length << 3);
  const turned = (x, n) => x >>> n | x << 32 - n;
  for (let start = 0; start < size; start += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(start + 4*i);
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = w[i - 16] + (turned(x, 7) ^ turned(x, 18) ^ x >>> 3) + w[i - 7] + (turned(y, 17) ^ turned(y, 19) ^ y >>> 10);
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const s = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
      const t = s + (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
      h = g; g = f; f = e; e = d + s | 0; d = c; c = b; b = a; a = t;
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] += value; });
  }
  return Array.from(state, n => n.toString(16).padStart(8, "0")).join("");
}

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) {
    crc ^= bytes[i];
    for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// A zip whose files are stored as they are: weights hardly get smaller. Names are ASCII, the date is the first that a zip can have.
function zip(files) {
  const parts = [], directory = [], numbers = (...pairs) => {
    const bytes = new Uint8Array(pairs.reduce((sum, [size]) => sum + size, 0)), view = new DataView(bytes.buffer);
    let at = 0;
    for (const [size, value] of pairs) { if (size === 2) view.setUint16(at, value, true); else view.setUint32(at, value, true); at += size; }
    return bytes;
  };
  let offset = 0;
  for (const [name, bytes] of files) {
    const letters = new TextEncoder().encode(name), about = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 33], [4, crc32(bytes)], [4, bytes.length], [4, bytes.length], [2, letters.length], [2, 0]];
    const head = numbers([4, 0x04034b50], ...about);
    directory.push(numbers([4, 0x02014b50], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), letters);
    parts.push(head, letters, bytes);
    offset += head.length + letters.length + bytes.length;
  }
  const length = directory.reduce((sum, part) => sum + part.length, 0);
  parts.push(...directory, numbers([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, length], [4, offset], [2, 0]));
  const whole = new Uint8Array(offset + length + 22);
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
}

// The files of such a zip, by the last part of their names.
function unzip(buffer) {
  const view = new DataView(buffer), files = {};
  let at = 0;
  while (at + 30 <= buffer.byteLength && view.getUint32(at, true) === 0x04034b50) {
    const size = view.getUint32(at + 18, true), letters = view.getUint16(at + 26, true), start = at + 30 + letters + view.getUint16(at + 28, true);
    if (view.getUint16(at + 8, true) || view.getUint16(at + 6, true) & 8) refuse("this zip is packed; the page reads its own: unpack it and choose the three files");
    if (start + size > buffer.byteLength) refuse("this zip isn't whole");
    const bytes = buffer.slice(start, start + size);
    if (crc32(new Uint8Array(bytes)) !== view.getUint32(at + 14, true)) refuse("this zip is damaged");
    files[new TextDecoder().decode(new Uint8Array(buffer, at + 30, letters)).split("/").at(-1)] = bytes;
    at = start + size;
  }
  for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) if (!files[name]) refuse(`there is no ${name} in this zip`);
  const text = name => new TextDecoder().decode(files[name]);
  return {config: text("config.json"), tokenizer: text("tokenizer.json"), weights: files["model.safetensors"]};
}
