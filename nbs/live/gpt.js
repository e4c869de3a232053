// gpt.js: a GPT that reads and writes, chapters 02 to 05 and 07 in another language.
//
// A tensor is a Float32Array and its shape: the T vectors of width C of a text lie behind each other in one array of T*C numbers.
// Sums are kept in JavaScript's own numbers (64 bits) and rounded to 32 bits when they are stored.
"use strict";

// ---- small parts ----------------------------------------------------------------------------------------------------

// y = x Wᵀ + b for every row of x, what nn.Linear does: W is (O, I), a row of x has I numbers, one of y has O.
// The plain form, three loops:
function linearPlainly(x, {shape: [O, I], values: w}, bias) {
  const T = x.length/I, y = new Float32Array(T*O);
  for (let t = 0; t < T; t++) for (let o = 0; o < O; o++) {
    let sum = bias ? bias.values[o] : 0;
    for (let i = 0; i < I; i++) sum += x[t*I + i]*w[o*I + i];
    y[t*O + o] = sum;
  }
  return y;
}

// The same, but eight sums at a time, so that a number that was fetched is used several times and no sum waits for another. For many rows of x,
// four rows of W are laid side by side in 64 bits, once, and serve all rows of x, two at a time: no number is converted in the innermost loop.
// The last rows may overlap with those before them; they are then computed twice.
function linear(x, weight, bias) {
  const {shape: [O, I], values: w} = weight, T = x.length/I, y = new Float32Array(T*O);
  if (O < 8) return linearPlainly(x, weight, bias);
  if (T === 1) sums(x, 0, I, w, 0, I, 1, y, 0, O);
  else {
    const wide = new Float64Array(x), four = new Float64Array(4*I);
    for (let next = 0; next < O; next += 4) {
      const o = Math.min(next, O - 4);
      for (let k = 0; k < 4; k++) for (let i = 0; i < I; i++) four[4*i + k] = w[(o + k)*I + i];
      for (let after = 2; after < T + 2; after += 2) { const t = Math.min(after, T) - 2; twoByFour(wide, t*I, four, I, y, t*O + o, O); }
    }
  }
  if (bias) for (let t = 0, at = 0; t < T; t++) for (let o = 0; o < O; o++) y[at++] += bias.values[o];
  return y;
}

function twoByFour(x, p, four, I, y, at, O) {
  const q = p + I;
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0, r0 = 0, r1 = 0, r2 = 0, r3 = 0;
  for (let i = 0, j = 0; i < I; i++, j += 4) {
    const u = x[p + i], v = x[q + i], a = four[j], b = four[j + 1], c = four[j + 2], d = four[j + 3];
    s0 += u*a; s1 += u*b; s2 += u*c; s3 += u*d;
    r0 += v*a; r1 += v*b; r2 += v*c; r3 += v*d;
  }
  y[at] = s0; y[at + 1] = s1; y[at + 2] = s2; y[at + 3] = s3;
  at += O;
  y[at] = r0; y[at + 1] = r1; y[at + 2] = r2; y[at + 3] = r3;
}

// y[k] = the sum of x[i] w[k*far + i*near] over I numbers, for n sums. In a linear layer the numbers of a row of W are near each other (1 apart); in
// attention's last step it's the sums, and the numbers of one are C apart. `p`, `a` and `at` are where x, w and y begin.
function sums(x, p, I, w, a, far, near, y, at, n) {
  for (let next = 0; next < n && n >= 8; next += 8) { const k = Math.min(next, n - 8); oneByEight(x, p, I, w, a + k*far, far, near, y, at + k); }
  for (let k = 0; k < n && n < 8; k++) {
    let sum = 0;
    for (let i = 0; i < I; i++) sum += x[p + i]*w[a + k*far + i*near];
    y[at + k] = sum;
  }
}

function oneByEight(x, p, I, w, a, far, near, y, at) {
  const b = a + far, c = b + far, d = c + far, e = d + far, f = e + far, g = f + far, h = g + far;
  let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
  for (let i = 0, j = 0; i < I; i++, j += near) {
    const u = x[p + i];
    s0 += u*w[a + j]; s1 += u*w[b + j]; s2 += u*w[c + j]; s3 += u*w[d + j];
    s4 += u*w[e + j]; s5 += u*w[f + j]; s6 += u*w[g + j]; s7 += u*w[h + j];
  }
  y[at] = s0; y[at + 1] = s1; y[at + 2] = s2; y[at + 3] = s3;
  y[at + 4] = s4; y[at + 5] = s5; y[at + 6] = s6; y[at + 7] = s7;
}

// Chapter 04: every vector gets mean 0 and variance 1, then the learned scale and shift.
function layerNorm(x, {values: weight}, {values: bias}, eps = 1e-5) {
  const C = weight.length, y = new Float32Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    let sum = 0, squares = 0;
    for (let c = 0; c < C; c++) sum += x[start + c];
    const mean = sum/C;
    for (let c = 0; c < C; c++) squares += (x[start + c] - mean)*(x[start + c] - mean);
    const scale = 1/Math.sqrt(squares/C + eps);
    for (let c = 0; c < C; c++) y[start + c] = (x[start + c] - mean)*scale*weight[c] + bias[c];
  }
  return y;
}

// Scores become shares that sum to 1, in place, all of them or those from `start` to before `end`. The largest is subtracted first, or exp would overflow.
function softmax(scores, start = 0, end = scores.length) {
  let largest = -Infinity, sum = 0;
  for (let i = start; i < end; i++) if (scores[i] > largest) largest = scores[i];
  for (let i = start; i < end; i++) sum += scores[i] = Math.exp(scores[i] - largest);
  for (let i = start; i < end; i++) scores[i] /= sum;
  return scores;
}

function addTo(x, y) { for (let i = 0; i < x.length; i++) x[i] += y[i]; }

// The speedrun's hash of the `n` last ids at a place: key * 2654435761 % (2³¹ - 1) % rows. The product is larger than 2⁵³, from where
// on JavaScript's numbers skip integers, so BigInt computes it; 64 bits, as torch has them.
function ngramRow(ids, at, n, rows, V) {
  let key = BigInt(ids[at]);
  for (let back = 1; back < n; back++) key = key*BigInt(V + 1) + BigInt(at >= back ? ids[at - back] : V);
  const prime = 2n**31n - 1n, rest = BigInt.asIntN(64, BigInt.asIntN(64, key)*2654435761n) % prime;
  return Number((rest + prime) % prime) % rows;
}

// ---- the model ------------------------------------------------------------------------------------------------------

class GPT {
  constructor(config, tensors) {
    this.config = config;
    this.tensor = name => tensors.get(name);
  }

  // Chapter 07: the ids that were read, and the keys and values of each block for them. A new one has read nothing.
  nothing() {
    const {block_size: T, n_embd: C, n_layer: L} = this.config;
    const blocks = Array.from({length: L}, () => ({keys: new Float32Array(T*C), values: new Float32Array(T*C)}));
    return {ids: [], blocks};
  }

  // Read ids that come after those in `past`, one or many, and add them to `past`. Gives
  //   logits   (T, V): scores for the next id after each of the new ones;
  //   streams  a (T, C) per layer and one before the first: the residual stream, if watch.streams;
  //   maps     a (H, T, S) per layer: how the new positions look at all S, if watch.maps.
  // watch.without, a list of [layer, head], silences heads. With watch.last, logits are those after the last id alone: in the last layer the other
  // positions then give their keys and values and nothing more.
  read(ids, past = this.nothing(), watch = {}) {
    const start = past.ids.length, streams = [], maps = [];
    past.ids.push(...ids);
    let x = this.embed(past.ids, start);
    for (let i = 0; i < this.config.n_layer; i++) {
      if (watch.streams) streams.push(x.slice());
      const map = watch.maps ? new Float32Array(this.config.n_head*ids.length*past.ids.length) : null;
      x = this.block(i, x, past, map, watch.without ?? [], watch.last && i === this.config.n_layer - 1 ? ids.length - 1 : 0);
      if (map) maps.push(map);
    }
    if (watch.streams) streams.push(x);
    return {logits: this.guess(x), streams, maps};
  }

  // Chapter 02: the vector of the id plus the vector of its position. The speedrun adds those of the last 2, 3, … ids, times 5.
  embed(ids, start) {
    const {n_embd: C, vocab_size: V, variant, n_gram, rows} = this.config, x = new Float32Array((ids.length - start)*C);
    const add = (name, row, t, scale) => {
      const table = this.tensor(`embedding.${name}.weight`).values;
      for (let c = 0; c < C; c++) x[t*C + c] += scale*table[row*C + c];
    };
    for (let t = 0; t < ids.length - start; t++) {
      add("token", ids[start + t], t, 1);
      add("position", start + t, t, 1);
      if (variant) for (let n = 2; n <= n_gram; n++) add(`tables.${n - 2}`, ngramRow(ids, start + t, n, rows, V), t, 5);
    }
    return x;
  }

  // Chapter 04: gather, then digest, and add what comes out to the residual stream `x`, in place. Gives the stream of position `first` and those after it.
  block(i, x, past, map, without, first) {
    const part = name => this.tensor(`blocks.${i}.${name}`);
    const gathered = this.attend(i, layerNorm(x, part("ln1.weight"), part("ln1.bias")), past, map, without, first);
    x = x.subarray(first*this.config.n_embd);
    addTo(x, linear(gathered, part("attention.proj.weight"), part("attention.proj.bias")));
    const hidden = linear(layerNorm(x, part("ln2.weight"), part("ln2.bias")), part("feed_forward.up.weight"), part("feed_forward.up.bias"));
    for (let h = 0; h < hidden.length; h++) if (hidden[h] < 0) hidden[h] = 0; // ReLU
    addTo(x, linear(hidden, part("feed_forward.down.weight"), part("feed_forward.down.bias")));
    return x;
  }

  // Chapter 03: each position asks (query), every position up to it answers (key) and hands over (value); the heads side by side.
  // No mask is needed: a position's loop ends with itself.
  attend(i, x, past, map, without, first) {
    const {n_embd: C, n_head: H} = this.config, D = C/H, T = x.length/C, S = past.ids.length, {keys, values} = past.blocks[i];
    const qkv = linear(x, this.tensor(`blocks.${i}.attention.qkv.weight`)), out = new Float32Array((T - first)*C);
    for (let t = 0; t < T; t++) {
      keys.set(qkv.subarray(3*t*C + C, 3*t*C + 2*C), (S - T + t)*C);
      values.set(qkv.subarray(3*t*C + 2*C, 3*t*C + 3*C), (S - T + t)*C);
    }
    for (let h = 0; h < H; h++) for (let t = first; t < T; t++) {
      const shares = new Float32Array(S - T + t + 1), q = 3*t*C + h*D, o = (t - first)*C + h*D; // where this head's part begins
      sums(qkv, q, D, keys, h*D, C, 1, shares, 0, shares.length); // shares[s] = the query times the key of s
      for (let s = 0; s < shares.length; s++) shares[s] /= Math.sqrt(D);
      softmax(shares);
      if (map) map.set(shares, (h*T + t)*S);
      if (without.some(([layer, head]) => layer === i && head === h)) continue;
      sums(shares, 0, shares.length, values, h*D, 1, C, out, o, D); // out[d] = the shares times all values' number d
    }
    return out;
  }

  // Chapter 05: the last norm and the head turn vectors into scores, (T, C) to (T, V). Works on the stream of any layer.
  guess(x) { return linear(layerNorm(x, this.tensor("ln_f.weight"), this.tensor("ln_f.bias")), this.tensor("lm_head.weight"), this.tensor("lm_head.bias")); }

  // The mean loss in nats per id on a text, in windows of block_size side by side, as chapter 06 evaluates.
  loss(ids) {
    const {block_size: T, vocab_size: V} = this.config;
    let sum = 0;
    for (let start = 0; start + 1 < ids.length; start += T) {
      const window = ids.slice(start, start + T), {logits} = this.read(window);
      for (let t = 0; t < window.length && start + t + 1 < ids.length; t++) sum -= Math.log(softmax(logits.subarray(t*V, t*V + V))[ids[start + t + 1]]);
    }
    return sum/(ids.length - 1);
  }
}

// ---- chapter 07: from scores to text --------------------------------------------------------------------------------

// What to draw from: temperature first, then the topK likeliest (0: all), then the likeliest that together reach topP.
function nextProbabilities(logits, {temperature = 1, topK = 0, topP = 1} = {}) {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const p = new Float32Array(logits.length);
  if (temperature === 0) { p[order[0]] = 1; return p; }
  const shares = softmax(Float64Array.from(logits, score => score/temperature)), kept = topK ? order.slice(0, topK) : order;
  const total = kept.reduce((sum, id) => sum + shares[id], 0);
  let before = 0, sum = 0;
  const nucleus = kept.filter((id, i) => { const inside = i === 0 || topP >= 1 || before < topP; before += shares[id]/total; return inside; });
  for (const id of nucleus) sum += shares[id];
  for (const id of nucleus) p[id] = shares[id]/sum;
  return p;
}

// Lay the shares end to end and see where the dart (0 ≤ dart < 1) lands.
function draw(p, dart) {
  let total = 0, end = 0, last = 0;
  for (let id = 0; id < p.length; id++) total += p[id];
  for (let id = 0; id < p.length; id++) if (p[id] > 0) {
    last = id;
    if ((end += p[id]) > dart*total) break;
  }
  return last;
}

// The darts: Tommy Ettinger's mulberry32, 32 bits of state. The same seed gives the same darts everywhere, and so the same text in one browser;
// exp may differ in its last bit from one browser to another. NumPy's generator, which the Python side uses, gives other darts.
function darts(seed) {
  let state = seed >>> 0;
  return () => {
    state = state + 0x6d2b79f5 >>> 0;
    let z = Math.imul(state ^ state >>> 15, state | 1);
    z ^= z + Math.imul(z ^ z >>> 7, z | 61);
    return ((z ^ z >>> 14) >>> 0)/2**32;
  };
}

// Which part of a text that outgrew the context is seen: whenever there is no more room, the first half is forgotten (window="rolling").
function firstVisible(length, size) {
  const step = size - Math.floor(size/2);
  return Math.ceil(Math.max(0, length - size)/step)*step;
}

// A text that grows: next() gives the id that was drawn and the probabilities it was drawn from.
class Writer {
  constructor(model, ids, {seed = 1337, ...sampling} = {}) {
    Object.assign(this, {model, ids: [...ids], sampling, dart: darts(seed), start: 0, past: model.nothing()});
  }

  // Scores for what comes next. Only what was not read yet is read.
  logits() {
    const start = firstVisible(this.ids.length, this.model.config.block_size);
    if (start !== this.start) Object.assign(this, {start, past: this.model.nothing()});
    return this.model.read(this.ids.slice(start + this.past.ids.length), this.past, {last: true}).logits;
  }

  next() {
    const probabilities = nextProbabilities(this.logits(), this.sampling), id = draw(probabilities, this.dart());
    this.ids.push(id);
    return {id, probabilities};
  }
}
