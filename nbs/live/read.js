// read.js: the files of a checkpoint, checked before anything is computed.
//
// A checkpoint is three files: config.json (the sizes), tokenizer.json (the symbols) and model.safetensors (the numbers).
// Whatever is wrong with them becomes one Error with one line; nothing in a file is ever run or shown as HTML.
"use strict";

const refuse = reason => { throw new Error(reason); };

function parse(text, name) {
  let data;
  try { data = JSON.parse(text); } catch { refuse(`${name} isn't JSON`); }
  return data && typeof data === "object" && !Array.isArray(data) ? data : refuse(`${name} should hold an object`);
}

const short = value => String(JSON.stringify(value)).slice(0, 60);

// ---- config.json ----------------------------------------------------------------------------------------------------

const SIZES = {vocab_size: 1e6, block_size: 1e6, n_embd: 2**16, n_head: 2**10, n_layer: 2**10}; // what is allowed at most
const TABLES = {n_gram: 16, rows: 2**24}; // what the speedrun's model has besides

// The sizes of the model as an object, or an Error that names the first field that is wrong.
function readConfig(text) {
  const config = parse(text, "config.json"), {variant = "", format} = config;
  if (format !== undefined && format !== 1) refuse(`config.json has format ${short(format)}, this page knows format 1`);
  if (variant !== "" && variant !== "speedrun") refuse(`this page runs the course's GPT and the speedrun's; the variant ${short(variant)} is another kind of model`);
  const sizes = variant ? {...SIZES, ...TABLES} : SIZES;
  for (const [name, most] of Object.entries(sizes)) {
    const value = config[name];
    if (!Number.isInteger(value) || value < 1 || value > most) refuse(`config.json: ${name} is ${short(value)}, it must be a whole number from 1 to ${most}`);
  }
  for (const name of Object.keys(config)) if (!(name in sizes) && !["format", "dropout", "variant"].includes(name)) refuse(`config.json: unknown field ${short(name)}`);
  if (config.n_embd % config.n_head) refuse(`config.json: n_embd ${config.n_embd} is not a multiple of n_head ${config.n_head}`);
  return config;
}

// Every tensor that a model of these sizes has, with its shape: the names are those of the Python classes.
function shapesOf({vocab_size: V, block_size: T, n_embd: C, n_layer: L, variant, n_gram, rows}) {
  const shapes = new Map([["embedding.token.weight", [V, C]], ["embedding.position.weight", [T, C]]]);
  if (variant) for (let n = 0; n < n_gram - 1; n++) shapes.set(`embedding.tables.${n}.weight`, [rows, C]);
  const block = {"ln1.weight": [C], "ln1.bias": [C], "attention.qkv.weight": [3*C, C], "attention.proj.weight": [C, C], "attention.proj.bias": [C],
    "ln2.weight": [C], "ln2.bias": [C], "feed_forward.up.weight": [4*C, C], "feed_forward.up.bias": [4*C],
    "feed_forward.down.weight": [C, 4*C], "feed_forward.down.bias": [C]};
  for (let i = 0; i < L; i++) for (const [name, shape] of Object.entries(block)) shapes.set(`blocks.${i}.${name}`, shape);
  for (const [name, shape] of [["ln_f.weight", [C]], ["ln_f.bias", [C]], ["lm_head.weight", [V, C]], ["lm_head.bias", [V]]]) shapes.set(name, shape);
  return shapes;
}

// ---- model.safetensors ----------------------------------------------------------------------------------------------

const BYTES = {F32: 4, F16: 2, BF16: 2, I8: 1};
let halves; // the number behind each of the 65,536 bit patterns of a 16-bit float

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign*Infinity;
  return exponent ? sign*2**(exponent - 15)*(1 + fraction/1024) : sign*2**-24*fraction;
}

// The numbers of one tensor, as 32-bit floats whatever the file holds. (A slice starts at a multiple of any size; a view might not.)
function decode(buffer, dtype) {
  if (dtype === "F32") return new Float32Array(buffer);
  if (dtype === "I8") return Float32Array.from(new Int8Array(buffer));
  const bits = new Uint16Array(buffer);
  if (dtype === "BF16") return new Float32Array(Uint32Array.from(bits, b => b << 16).buffer);
  halves ??= Float32Array.from({length: 65536}, (_, b) => half(b));
  return Float32Array.from(bits, b => halves[b]);
}

// The file is 8 bytes with the length of its header, the header in JSON, then the numbers. Gives name → {shape, values}.
//
// The int8 form: a matrix `NAME` of type I8 has beside it `NAME.scale` of type F32 with a number per row, and stands for
// NAME[row][column] * NAME.scale[row]. Vectors stay F32. Any reader of safetensors can read such a file.
function readTensors(buffer) {
  const size = buffer.byteLength, view = new DataView(buffer), name = "model.safetensors";
  const length = size < 8 ? 0 : view.getUint32(0, true) + 2**32*view.getUint32(4, true);
  if (length < 2 || length > size - 8) refuse(`${name} isn't whole: ${size} bytes can't hold a header of ${length} bytes`);
  const header = parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)), `the header of ${name}`), tensors = new Map();
  let left = size - 8 - length; // tensors may not share bytes, or a small file could ask for any amount of memory
  for (const [key, entry] of Object.entries(header)) {
    if (key === "__metadata__") continue;
    const {dtype, shape, data_offsets: ends} = entry ?? {}, whole = list => Array.isArray(list) && list.every(n => Number.isSafeInteger(n) && n >= 0);
    if (!Object.hasOwn(BYTES, dtype)) refuse(`${name}: ${short(key)} has the type ${short(dtype)}, this page reads ${Object.keys(BYTES).join(", ")}`);
    if (!whole(shape) || !whole(ends) || ends.length !== 2) refuse(`${name}: the entry of ${short(key)} makes no sense`);
    const bytes = shape.reduce((product, n) => product*n, BYTES[dtype]);
    if (ends[1] - ends[0] !== bytes || 8 + length + ends[1] > size || (left -= bytes) < 0) refuse(`${name}: ${short(key)} should have ${bytes} bytes and hasn't`);
    tensors.set(key, {shape, dtype, values: decode(buffer.slice(8 + length + ends[0], 8 + length + ends[1]), dtype)});
  }
  for (const [key, {shape, dtype, values}] of [...tensors]) if (dtype === "I8") {
    const scale = tensors.get(key + ".scale");
    if (shape.length !== 2 || scale?.dtype !== "F32" || scale.values.length !== shape[0]) refuse(`${name}: ${short(key)} is int8 and has no scale per row`);
    for (let i = 0; i < values.length; i++) values[i] *= scale.values[Math.floor(i/shape[1])];
    tensors.delete(key + ".scale");
  }
  return tensors;
}

function checkTensors(tensors, config) {
  const shapes = shapesOf(config), name = "model.safetensors";
  for (const [key, shape] of shapes) {
    const found = tensors.get(key);
    if (!found) refuse(`${name} has no tensor ${key}, which config.json asks for`);
    if (String(found.shape) !== String(shape)) refuse(`${name} holds ${key} as (${short(found.shape)}), config.json asks for (${shape})`);
    let zero = 0; // 0 times a number is 0; 0 times NaN or infinity isn't
    for (let i = 0; i < found.values.length; i++) zero += 0*found.values[i];
    if (zero !== 0) refuse(`${name}: ${key} holds numbers that aren't finite`);
  }
  for (const key of tensors.keys()) if (!shapes.has(key)) refuse(`${name} holds the unknown tensor ${short(key)}`);
}

// ---- tokenizer.json -------------------------------------------------------------------------------------------------

// An id per character, as chapter 00. `stream` gives a function that turns the ids of a text into text, one after the other.
class Characters {
  constructor(symbols) {
    const single = s => typeof s === "string" && [...s].length === 1, code = s => s.codePointAt(0);
    if (!Array.isArray(symbols) || !symbols.length || !symbols.every(single) || symbols.some((s, i) => i && code(s) <= code(symbols[i - 1])))
      refuse("tokenizer.json: symbols must be different single characters in sorted order");
    this.symbols = symbols;
    this.ids = new Map(symbols.map((symbol, id) => [symbol, id]));
  }
  get size() { return this.symbols.length; }
  unknown(text) { return [...new Set(text)].filter(c => !this.ids.has(c)); } // the characters that `encode` leaves out
  encode(text) { return [...text].filter(c => this.ids.has(c)).map(c => this.ids.get(c)); }
  decode(ids) { return ids.map(id => this.symbols[id]).join(""); }
  stream() { return id => this.symbols[id]; }
}

// GPT-2's cut into words; what counts as white space is written out, since JavaScript's \s differs by two characters.
const SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORD = new RegExp(`'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^${SPACE}\\p{L}\\p{N}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]+`, "gu");

// Byte pairs, as the lesson of that name. A string of bytes is written as text whose characters are 0 to 255.
class BytePairs {
  constructor(tokens, special) {
    const texts = list => Array.isArray(list) && list.every(s => typeof s === "string" && s) && new Set(list).size === list.length;
    if (!texts(tokens) || !texts(special) || tokens.some(t => /[^\x00-\xff]/.test(t))) refuse("tokenizer.json: tokens must be different strings of bytes");
    this.tokens = tokens;
    this.special = special;
    this.ranks = new Map(tokens.map((token, id) => [token, id])); // what was learned earlier is joined earlier
    for (let b = 0; b < 256; b++) if (!this.ranks.has(String.fromCharCode(b))) refuse("tokenizer.json: a byte has no token");
  }
  get size() { return this.tokens.length + this.special.length; }
  unknown() { return []; }

  encode(text) {
    const ids = [];
    for (const word of text.match(WORD) ?? []) {
      const parts = Array.from(new TextEncoder().encode(word), b => String.fromCharCode(b));
      for (;;) { // join the two neighbours that were joined first when the merges were learned
        let rank = Infinity, at;
        for (let i = 0; i + 1 < parts.length; i++) {
          const r = this.ranks.get(parts[i] + parts[i + 1]);
          if (r < rank) { rank = r; at = i; }
        }
        if (rank === Infinity) break;
        parts.splice(at, 2, parts[at] + parts[at + 1]);
      }
      for (const part of parts) ids.push(this.ranks.get(part));
    }
    return ids;
  }

  bytes(id) { return id < this.tokens.length ? Uint8Array.from(this.tokens[id], c => c.charCodeAt(0)) : new TextEncoder().encode(this.special[id - this.tokens.length]); }
  decode(ids) { const next = this.stream(); return ids.map(next).join("") + next(); }
  stream() { // half a character is held back until its other bytes come; without an id, what is left is closed
    const decoder = new TextDecoder("utf-8", {ignoreBOM: true});
    return id => id === undefined ? decoder.decode() : decoder.decode(this.bytes(id), {stream: true});
  }
}

function readTokenizer(text) {
  const data = parse(text, "tokenizer.json");
  if (data.type === "char") return new Characters(data.symbols);
  if (data.type === "bpe") return new BytePairs(data.tokens, data.special);
  return refuse(`tokenizer.json has the type ${short(data.type)}, this page knows char and bpe`);
}

// ---- all three ------------------------------------------------------------------------------------------------------

// Two texts and the bytes of the weights → what `new GPT` and a reader of text need.
function readCheckpoint(files) {
  const config = readConfig(files.config), tokenizer = readTokenizer(files.tokenizer), tensors = readTensors(files.weights);
  if (tokenizer.size !== config.vocab_size) refuse(`tokenizer.json has ${tokenizer.size} symbols, config.json says ${config.vocab_size}`);
  checkTensors(tensors, config);
  return {config, tokenizer, tensors};
}
