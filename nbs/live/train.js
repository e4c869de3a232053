// train.js: chapter 06 in another language. The way back through what gpt.js computes, AdamW, and a run that a page can follow.
//
// A batch is B windows of T ids behind each other; N = B*T vectors of width C go through the model together. As in gpt.js, a tensor is a
// Float32Array, sums are kept in 64 bits and rounded when they are stored. The order of every sum is fixed, so one seed gives one result, to the last bit.
"use strict";

// ---- products -------------------------------------------------------------------------------------------------------

// A matrix inside an array: it begins at `start`, and from one number to the next it is `down` to the row below and `right` along the row.
// So a transpose is the same numbers with both swapped, and one head's part of a window is a matrix like any other.
const matrix = (values, rows, columns, start = 0, down = columns, right = 1) => ({values, rows, columns, start, down, right});
const turn = ({values, rows, columns, start, down, right}) => matrix(values, columns, rows, start, right, down);

// y (M, O) = x (M, I) times w (O, I) turned over: the one product that everything here is made of. Both are first copied into panels, three rows of x and
// four of w side by side, whose numbers lie in the order in which `tile` wants them, as 64-bit floats, so that nothing is converted and hardly anything
// computed but the product. The panels never change their size: the compiler then knows where they are. What doesn't fit is computed in parts.
// In attention half of all is zero. `band` says which half isn't looked at, but for the blocks of three on the diagonal: "y" the columns of y after
// the row's number, "x" the numbers of a row of x after its own, "turned" those before it.
const LEFT = new Float64Array(2**18), RIGHT = new Float64Array(2**18), corner = new Float32Array(12);

function product(x, w, y, band = "") {
  const M = x.rows, O = w.rows, I = x.columns, {values, start, down} = y, tall = fitting(3, I), wide = fitting(4, I);
  for (let left = 0; left < O; left += wide) {
    const O1 = Math.min(O, left + wide);
    intoPanel(w, left, O1, RIGHT, 4);
    for (let top = 0; top < M; top += tall) {
      const M1 = Math.min(M, top + tall);
      intoPanel(x, top, M1, LEFT, 3);
      for (let t = top; t < M1; t += 3) {
        const first = band === "turned" ? t : 0, end = band === "x" ? Math.min(I, t + 3) : I, width = band === "y" ? Math.min(O1, t + 3) : O1;
        for (let o = left; o < width; o += 4) {
          const p = (t - top)*I + 3*first, a = (o - left)*I + 4*first, at = start + t*down + o;
          if (t + 3 <= M && o + 4 <= O) { tile(p, a, end - first, values, at, down); continue; }
          tile(p, a, end - first, corner, 0, 4);
          for (let r = 0; r < Math.min(3, M - t); r++) for (let c = 0; c < Math.min(4, O - o); c++) values[at + r*down + c] = corner[4*r + c];
        }
      }
    }
  }
  return values;
}

function fitting(group, I) {
  const rows = group*Math.floor(LEFT.length/(group*I));
  if (!rows) refuse(`the model is too large to be trained in a page: a sum of ${I} numbers`);
  return rows;
}

// Rows `row` to before `end` in groups: the first number of each, then the second, …; zeros stand for rows that are missing.
function intoPanel({values, columns, start, down, right}, row, end, panel, group) {
  for (let to = 0; row < end; row += group, to += group*columns) for (let r = 0; r < group; r++) {
    let from = start + (row + r)*down | 0;
    for (let i = 0, at = to + r | 0; i < columns; i++, at = at + group | 0, from = from + right | 0) panel[at] = row + r < end ? values[from] : 0;
  }
}

// Three rows with four rows: twelve sums, and each number that was fetched is used three or four times. `| 0` tells the compiler that an index is a small integer.
function tile(p, a, length, y, at, down) {
  let aa = 0, ab = 0, ac = 0, ad = 0, ba = 0, bb = 0, bc = 0, bd = 0, ca = 0, cb = 0, cc = 0, cd = 0;
  for (let i = 0; i < length; i++, p = p + 3 | 0, a = a + 4 | 0) {
    const wa = RIGHT[a], wb = RIGHT[a + 1 | 0], wc = RIGHT[a + 2 | 0], wd = RIGHT[a + 3 | 0];
    const u = LEFT[p]; aa += u*wa; ab += u*wb; ac += u*wc; ad += u*wd;
    const v = LEFT[p + 1 | 0]; ba += v*wa; bb += v*wb; bc += v*wc; bd += v*wd;
    const s = LEFT[p + 2 | 0]; ca += s*wa; cb += s*wb; cc += s*wc; cd += s*wd;
  }
  y[at] = aa; y[at + 1] = ab; y[at + 2] = ac; y[at + 3] = ad; at += down;
  y[at] = ba; y[at + 1] = bb; y[at + 2] = bc; y[at + 3] = bd; at += down;
  y[at] = ca; y[at + 1] = cb; y[at + 2] = cc; y[at + 3] = cd;
}

// The arrays of one step serve the next one: to make and clear new ones takes longer than to fill them. Their old numbers are still in them.
const kept = new Map();
function fresh(size) {
  const ones = kept.get(size) ?? kept.set(size, {arrays: [], next: 0}).get(size);
  return ones.arrays[ones.next++] ??= new Float32Array(size);
}
function beginAgain() { for (const ones of kept.values()) ones.next = 0; }

// ---- the parts, there and back --------------------------------------------------------------------------------------

function affine(x, weight, bias) {
  const [O, I] = weight.shape, M = x.length/I, y = product(matrix(x, M, I), matrix(weight.values, O, I), matrix(fresh(M*O), M, O));
  if (bias) for (let t = 0, at = 0; t < M; t++) for (let o = 0; o < O; o++) y[at++] += bias.values[o];
  return y;
}

// dy tells how the loss changes with y. The weights' share is dyᵀ x, the bias' the sum over rows, and what x is told is dy W.
function affineBack(dy, x, weight, bias) {
  const [O, I] = weight.shape, M = x.length/I, told = matrix(dy, M, O);
  product(turn(told), turn(matrix(x, M, I)), matrix(weight.grad, O, I));
  if (bias) {
    const sums = new Float64Array(O);
    for (let t = 0, at = 0; t < M; t++) for (let o = 0; o < O; o++) sums[o] += dy[at++];
    bias.grad.set(sums);
  }
  return product(told, turn(matrix(weight.values, O, I)), matrix(fresh(M*I), M, I));
}

// Layer norm keeps the normalized vectors and what each was multiplied by.
function norm(x, weight, bias, eps = 1e-5) {
  const C = weight.values.length, y = fresh(x.length), hat = fresh(x.length), scales = fresh(x.length/C);
  for (let start = 0; start < x.length; start += C) {
    let sum = 0, squares = 0;
    for (let c = 0; c < C; c++) sum += x[start + c];
    const mean = sum/C;
    for (let c = 0; c < C; c++) squares += (x[start + c] - mean)*(x[start + c] - mean);
    const scale = scales[start/C] = 1/Math.sqrt(squares/C + eps);
    for (let c = 0; c < C; c++) y[start + c] = (hat[start + c] = (x[start + c] - mean)*scale)*weight.values[c] + bias.values[c];
  }
  return {y, hat, scales};
}

// What a norm passes back has no part along the mean, which it removed, and none along the vector itself, whose length it fixed.
function normBack(dy, {hat, scales}, weight, bias) {
  const w = weight.values, C = w.length, dx = fresh(dy.length);
  const dw = new Float64Array(C), db = new Float64Array(C);
  for (let start = 0; start < dy.length; start += C) {
    let sum = 0, along = 0;
    for (let c = 0; c < C; c++) {
      const g = dy[start + c], h = hat[start + c];
      dw[c] += g*h; db[c] += g;
      sum += g*w[c]; along += g*w[c]*h;
    }
    for (let c = 0; c < C; c++) {
      const left = dy[start + c]*w[c] - sum/C - hat[start + c]*along/C;
      dx[start + c] = left*scales[start/C];
    }
  }
  weight.grad.set(dw); bias.grad.set(db);
  return dx;
}

// Chapter 03 for every window and head, whose queries, keys and values are columns of `qkv`. The shares are kept for the way back.
function attention(qkv, T, C, H) {
  const D = C/H, N = qkv.length/(3*C), out = fresh(N*C), looks = [];
  for (let row = 0; row < N; row += T) for (let h = 0; h < H; h++) {
    const [q, k, v] = heads(qkv, row, T, C, D, h), shares = product(q, k, matrix(fresh(T*T), T, T), "y");
    for (let t = 0; t < T; t++) {
      for (let s = 0; s <= t; s++) shares[t*T + s] /= Math.sqrt(D);
      softmax(shares, t*T, t*T + t + 1);
      for (let s = t + 1; s < T && s % 3; s++) shares[t*T + s] = 0; // as far as a product looks
    }
    product(matrix(shares, T, T), turn(v), matrix(out, T, D, row*C + h*D, C), "x");
    looks.push(shares);
  }
  return {qkv, out, looks};
}
const heads = (qkv, row, T, C, D, h) => [0, 1, 2].map(part => matrix(qkv, T, D, (3*row + part)*C + h*D, 3*C));

function attentionBack(dout, {qkv, looks}, T, C, H) {
  const D = C/H, N = dout.length/C, dqkv = fresh(3*N*C), scores = fresh(T*T);
  for (let row = 0, at = 0; row < N; row += T) for (let h = 0; h < H; h++) {
    const [q, k, v] = heads(qkv, row, T, C, D, h), [dq, dk, dv] = heads(dqkv, row, T, C, D, h), shares = looks[at++], dy = matrix(dout, T, D, row*C + h*D, C);
    product(dy, v, matrix(scores, T, T), "y"); // first, of the shares
    for (let t = 0; t < T; t++) { // then, through the softmax, of the scores
      let mean = 0;
      for (let s = 0; s <= t; s++) mean += shares[t*T + s]*scores[t*T + s];
      for (let s = 0; s <= t; s++) scores[t*T + s] = shares[t*T + s]*(scores[t*T + s] - mean)/Math.sqrt(D);
      for (let s = t + 1; s < T && s % 3; s++) scores[t*T + s] = 0;
    }
    product(matrix(scores, T, T), turn(k), dq, "x");
    product(turn(matrix(scores, T, T)), turn(q), dk, "turned");
    product(turn(matrix(shares, T, T)), turn(dy), dv, "turned");
  }
  return dqkv;
}

// The speedrun's rows for the n last ids of every place of a window. While every key stays below 2⁶³/2654435761, as it does for four of at most
// 240 symbols, a product split at 4096 is exact in 64-bit floats; else gpt.js computes it with BigInt.
function gramRows(ids, T, n, rows, V) {
  const found = new Int32Array(ids.length), prime = 2**31 - 1, short = (V + 1)**n < 2**63/2654435761;
  for (let start = 0; start < ids.length; start += T) for (let t = 0; t < T; t++) {
    if (!short) { found[start + t] = ngramRow(ids.subarray(start, start + T), t, n, rows, V); continue; }
    let key = ids[start + t];
    for (let back = 1; back < n; back++) key = key*(V + 1) + (t >= back ? ids[start + t - back] : V);
    const high = Math.floor(key/4096), low = key % 4096;
    found[start + t] = (high*2654435761 % prime*4096 + low*2654435761) % prime % rows;
  }
  return found;
}

// ---- a model that learns --------------------------------------------------------------------------------------------

const CAREFUL = {batch: 24, steps: 100, rate: .016, warmup: 5, decay: .1, beta1: .9, beta2: .99, clip: 1, seed: 1}; // the speedrun's recipe

class Learner {
  // `tensors` to go on from; else the weights are drawn: matrices from N(0, .02²), tables and biases 0, scales 1.
  constructor(config, settings = {}, tensors) {
    Object.assign(this, {config, settings: {...CAREFUL, ...settings}, tensors: new Map(), taken: 0});
    const dart = darts(this.settings.seed);
    const normal = () => Math.sqrt(-2*Math.log(1 - dart()))*Math.cos(2*Math.PI*dart());
    for (const [name, shape] of shapesOf(config)) {
      const size = shape.reduce((a, b) => a*b), values = new Float32Array(size), matrix = shape.length > 1;
      if (tensors) values.set(tensors.get(name).values);
      else if (matrix && !name.includes("tables")) for (let i = 0; i < size; i++) values[i] = .02*normal();
      else if (/ln\w*\.weight$/.test(name)) values.fill(1);
      const [grad, mean, square] = [0, 0, 0].map(() => new Float32Array(size));
      this.tensors.set(name, {shape, values, grad, mean, square, decay: matrix ? this.settings.decay : 0, ...(name.includes("tables") ? {touched: new Set(), moved: new Uint8Array(shape[0])} : {})});
    }
    kept.clear();
    this.model = new GPT(config, this.tensors); // the same numbers: what is learned here is at once what writes
  }

  part(name) { return this.tensors.get(name); }
  norms(name) { return [this.part(`${name}.weight`), this.part(`${name}.bias`)]; }
  block(i) { return name => this.part(`blocks.${i}.${name}`); }

  // The tables that make a vector of an id: [name, rows of it for every place, scale].
  lookups(x, T) {
    const {vocab_size: V, variant, n_gram, rows} = this.config, found = [["token", x, 1], ["position", x.map((_, at) => at % T), 1]];
    if (variant) for (let n = 2; n <= n_gram; n++) found.push([`tables.${n - 2}`, gramRows(x, T, n, rows, V), 5]);
    return found.map(([name, at, scale]) => [this.part(`embedding.${name}.weight`), at, scale]);
  }

  // The mean loss of windows `x` whose next ids are `y`, and what the way back needs.
  forward(x, y, T) {
    const {n_embd: C, n_head: H, n_layer: L, vocab_size: V} = this.config, N = x.length, blocks = [], lookups = this.lookups(x, T);
    beginAgain();
    const stream = fresh(N*C).fill(0);
    for (const [{values}, at, scale] of lookups) for (let t = 0; t < N; t++) {
      for (let c = 0, to = t*C, from = at[t]*C; c < C; c++) stream[to + c] += scale*values[from + c];
    }
    for (let i = 0; i < L; i++) {
      const part = this.block(i), first = norm(stream, part("ln1.weight"), part("ln1.bias"));
      const gathered = attention(affine(first.y, part("attention.qkv.weight")), T, C, H);
      addTo(stream, affine(gathered.out, part("attention.proj.weight"), part("attention.proj.bias")));
      const second = norm(stream, part("ln2.weight"), part("ln2.bias")), hidden = affine(second.y, part("feed_forward.up.weight"), part("feed_forward.up.bias"));
      for (let h = 0; h < hidden.length; h++) if (hidden[h] < 0) hidden[h] = 0;
      addTo(stream, affine(hidden, part("feed_forward.down.weight"), part("feed_forward.down.bias")));
      blocks.push({first, gathered, second, hidden});
    }
    const last = norm(stream, ...this.norms("ln_f")), shares = affine(last.y, ...this.norms("lm_head"));
    let loss = 0;
    for (let t = 0; t < N; t++) loss -= Math.log(softmax(shares, t*V, t*V + V)[t*V + y[t]]);
    return {loss: loss/N, x, y, T, lookups, blocks, last, shares};
  }

  // Fills `grad` of every tensor. The first slope is the primer's: what the model guessed, minus what came.
  backward({x, y, T, lookups, blocks, last, shares}) {
    const {n_embd: C, n_head: H, vocab_size: V} = this.config, N = x.length;
    for (let t = 0; t < N; t++) shares[t*V + y[t]] -= 1;
    for (let at = 0; at < shares.length; at++) shares[at] /= N;
    const stream = normBack(affineBack(shares, last.y, ...this.norms("lm_head")), last, ...this.norms("ln_f"));
    for (let i = blocks.length - 1; i >= 0; i--) {
      const part = this.block(i), {first, gathered, second, hidden} = blocks[i];
      const up = affineBack(stream, hidden, part("feed_forward.down.weight"), part("feed_forward.down.bias"));
      for (let h = 0; h < up.length; h++) if (hidden[h] === 0) up[h] = 0;
      addTo(stream, normBack(affineBack(up, second.y, part("feed_forward.up.weight"), part("feed_forward.up.bias")), second, part("ln2.weight"), part("ln2.bias")));
      const dout = affineBack(stream, gathered.out, part("attention.proj.weight"), part("attention.proj.bias"));
      addTo(stream, normBack(affineBack(attentionBack(dout, gathered, T, C, H), first.y, part("attention.qkv.weight")), first, part("ln1.weight"), part("ln1.bias")));
    }
    for (const [{grad, touched, moved}, at, scale] of lookups) {
      if (touched) for (const row of touched) for (let c = row*C; c < row*C + C; c++) grad[c] = 0; // of a large table only what was used
      else grad.fill(0);
      touched?.clear();
      for (let t = 0; t < N; t++) {
        if (touched) { touched.add(at[t]); moved[at[t]] = 1; }
        for (let c = 0, from = t*C, to = at[t]*C; c < C; c++) grad[to + c] += scale*stream[from + c];
      }
    }
  }

  gradients(x, y, T) {
    const seen = this.forward(x, y, T);
    this.backward(seen);
    return seen.loss;
  }

  // The length of all gradients together.
  length() {
    let squares = 0;
    const {n_embd: C} = this.config;
    for (const {grad, touched} of this.tensors.values()) {
      if (touched) for (const row of touched) for (let c = row*C; c < row*C + C; c++) squares += grad[c]*grad[c];
      else for (let i = 0; i < grad.length; i++) squares += grad[i]*grad[i];
    }
    return Math.sqrt(squares);
  }

  // The rate after `step` steps, as chapter 06: up in a line, down in half a cosine to a tenth. `progress`, from 0 to 1, stands in for steps where time is the measure.
  rateAt(step, progress) {
    const {rate, warmup, steps} = this.settings;
    if (step < warmup) return rate*(step + 1)/(warmup + 1);
    progress ??= Math.min(1, (step - warmup)/Math.max(1, steps - warmup));
    return rate/10 + rate*.9*(1 + Math.cos(Math.PI*progress))/2;
  }

  // One step of AdamW; the gradient is shortened to `clip` if it is longer. Returns the loss before it.
  step(x, y, T, progress) {
    const {beta1, beta2, clip} = this.settings, loss = this.gradients(x, y, T), length = this.length(), rate = this.rateAt(this.taken++, progress);
    if (!Number.isFinite(loss + length)) refuse("the loss is no longer a number: begin again with a smaller rate");
    const shrink = Math.min(1, clip/(length + 1e-6)), first = 1 - beta1**this.taken, second = Math.sqrt(1 - beta2**this.taken);
    for (const tensor of this.tensors.values()) adamW(tensor, rate, shrink, beta1, beta2, first, second);
    return loss;
  }

  // The windows of a step are a function of the seed and its number, as in chapter 01.
  batch(ids, step) {
    const {batch: B, seed} = this.settings, {block_size: T} = this.config, dart = darts(Math.imul(seed, 0x9e3779b1) + step), x = new Int32Array(B*T), y = new Int32Array(B*T);
    for (let b = 0; b < B; b++) {
      const start = Math.floor(dart()*(ids.length - T));
      x.set(ids.subarray(start, start + T), b*T);
      y.set(ids.subarray(start + 1, start + T + 1), b*T);
    }
    return [x, y, T];
  }

  learn(ids, progress) { return this.step(...this.batch(ids, this.taken), progress); }

  // The loss on a whole text, in windows side by side as chapter 06; after every batch it says how far it is.
  *evaluate(ids, batch = 24) {
    const {block_size: T} = this.config, whole = Math.floor((ids.length - 1)/T);
    let sum = 0, at = 0;
    while (at < ids.length - 1) {
      const B = Math.min(batch, whole - at/T), n = B > 0 ? B*T : ids.length - 1 - at;
      sum += n*this.forward(Int32Array.from(ids.subarray(at, at + n)), ids.subarray(at + 1, at + n + 1), B > 0 ? T : n).loss;
      yield {done: (at += n)/(ids.length - 1), loss: sum/at};
    }
  }

  // Two runs that did the same have the same one: FNV-1a over the bits of all weights.
  checksum() {
    let hash = 0x811c9dc5;
    for (const {values} of this.tensors.values()) for (const bits of new Uint32Array(values.buffer)) hash = Math.imul(hash ^ bits, 0x01000193);
    return (hash >>> 0).toString(16).padStart(8, "0");
  }
}

// Chapter 06. What nothing ever moved only decays, and numbers too small to matter become 0: the smallest floats are slow.
function adamW({shape, values, grad, mean, square, decay, moved}, rate, shrink, beta1, beta2, first, second) {
  const keep = 1 - rate*decay, step = rate*second/first, tiny = 1e-8*second, width = moved ? shape[1] : values.length;
  for (let start = 0; start < values.length; start += width) {
    const end = start + width;
    if (moved && !moved[start/width]) { for (let i = start; i < end; i++) values[i] *= keep; continue; }
    for (let i = start; i < end; i++) {
      const g = grad[i]*shrink, m = beta1*mean[i] + (1 - beta1)*g, v = beta2*square[i] + (1 - beta2)*g*g;
      mean[i] = m < 1e-30 && m > -1e-30 ? 0 : m;
      square[i] = v < 1e-36 ? 0 : v;
      values[i] = values[i]*keep - step*m/(Math.sqrt(v) + tiny);
    }
  }
}
