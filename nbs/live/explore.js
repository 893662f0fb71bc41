// A trained model in the reader's browser: it reads the weights, draws what is asked for, and reads what is drawn.
// Plain JavaScript, no library. What is exported is what the tests compare with PyTorch.

// ---------- Weights ----------

const halfToFloat = bits => { // IEEE 754 binary16
  const sign = bits >> 15 ? -1 : 1, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
};

const readers = {
  F32: {size: 4, read: buffer => new Float32Array(buffer)},
  F16: {size: 2, read: buffer => Float32Array.from(new Uint16Array(buffer), halfToFloat)},
  I64: {size: 8, read: buffer => Float64Array.from(new BigInt64Array(buffer), Number)},
  I8:  {size: 1, read: buffer => new Int8Array(buffer)},
  U8:  {size: 1, read: buffer => new Uint8Array(buffer)},
};

// `{name: {shape, values}}` from the bytes of a safetensors file; an Error says what is wrong with them.
export async function readSafetensors(buffer) {
  const wrong = why => new Error(`not a complete safetensors file (${why})`);
  if (buffer.byteLength < 8) throw wrong('it has no header');
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  if (start > buffer.byteLength) throw wrong('its header is cut off');
  let header;
  try { header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8))); }
  catch { throw wrong('its header is not JSON'); }
  const {__metadata__: metadata = {}, ...entries} = header ?? {}, tensors = {}, parts = [];
  for (const name of Object.keys(entries).sort()) {
    const {dtype, shape, data_offsets: offsets} = entries[name];
    if (!Array.isArray(shape) || !Array.isArray(offsets)) throw wrong(`its header does not describe ${name}`);
    const reader = readers[dtype], data = buffer.slice(start + offsets[0], start + offsets[1]);
    if (!reader) throw new Error(`${name} has the type ${dtype}, expected ${Object.keys(readers).join(', ')}`);
    if (data.byteLength !== reader.size * shape.reduce((a, b) => a * b, 1)) throw wrong(`${name} is cut off`);
    tensors[name] = {shape, values: reader.read(data)};
    parts.push(new TextEncoder().encode(name), data);
  }
  if (metadata.sha256 && globalThis.crypto?.subtle) { // which a browser offers to https and localhost only
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer()));
    const found = Array.from(digest, o => o.toString(16).padStart(2, '0')).join('');
    if (found !== metadata.sha256) throw wrong('it does not match its checksum');
  }
  return tensors;
}

// Floats from weights of 8 bits: `name.scale` has a factor for each row of the first dimension of `name`.
export function dequantise(tensors) {
  const floats = {...tensors};
  for (const [name, {shape, values}] of Object.entries(tensors)) {
    if (!(values instanceof Int8Array)) continue;
    const scale = tensors[`${name}.scale`], rowLength = values.length / shape[0];
    if (String(scale?.shape) !== String(shape[0])) throw new Error(`${name}.scale has the shape [${scale?.shape ?? 'missing'}], expected [${shape[0]}]`);
    floats[name] = {shape, values: Float32Array.from(values, (o, i) => o * scale.values[Math.floor(i / rowLength)])};
    delete floats[`${name}.scale`];
  }
  return floats;
}

async function download(path) {
  const response = await fetch(path).catch(() => { throw new Error(`${path} could not be fetched`); });
  if (!response.ok) throw new Error(`${path} could not be fetched (${response.status})`);
  return response.arrayBuffer().catch(() => { throw new Error(`${path} could not be fetched`); });
}

// A file as it is, unless it begins as gzip does; some servers unpack what ends in .gz, others do not.
async function unpack(buffer) {
  const [first, second] = new Uint8Array(buffer);
  if (first !== 0x1f || second !== 0x8b) return buffer;
  return new Response(new Blob([buffer]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
    .catch(() => { throw new Error('not a complete gzip file'); });
}

async function downloadTensors(path) {
  const buffer = await download(path);
  try { return dequantise(await readSafetensors(await unpack(buffer))); } catch (e) { throw new Error(`${path}: ${e.message}`); }
}

async function downloadConfig(path) {
  const text = new TextDecoder().decode(await download(path));
  let content;
  try { content = JSON.parse(text); } catch { throw new Error(`${path}: not JSON`); }
  if (content?.format !== 2 || !content.model) throw new Error(`${path}: not the configuration of a model that this page can read`);
  return content;
}

// ---------- Model ----------

const sigmoid = x => 1 / (1 + Math.exp(-x));
const activations = {sigmoid, tanh: Math.tanh, relu: x => Math.max(x, 0)};

function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map(o => Math.exp(o - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(o => o / sum);
}

export const oneHot = (label, numClasses) => Float32Array.from({length: numClasses}, (_, i) => Number(i === label));
export const indexOfLargest = values => values.indexOf(Math.max(...values));

function concatenate(a, b) {
  const joined = new Float32Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

const identity = x => x;
const chain = layers => x => layers.reduce((h, layer) => layer(h), x);
const product = sizes => sizes.reduce((a, b) => a * b, 1);
const halfOf = side => Math.ceil(side / 2);

// out[i] += sum over k of factors[k] * source[starts[k] + i], which is nearly all that a network computes: the columns of a matrix,
// or an image that is shifted. Four terms at a time take less than half of the time of one after the other.
function addScaled(out, source, starts, factors, count = starts.length) {
  for (let k = 0; k < count; k += 4) {
    const a = starts[k], b = starts[k + 1], c = starts[k + 2], d = starts[k + 3];
    const e = factors[k], f = factors[k + 1], g = factors[k + 2], h = factors[k + 3];
    for (let i = 0, length = out.length; i < length; i++) out[i] += e * source[a + i] + f * source[b + i] + g * source[c + i] + h * source[d + i];
  }
}

const inFours = (Type, values) => { // zeros added until their number can be divided by four
  const filled = new Type(4 * Math.ceil(values.length / 4));
  filled.set(values);
  return filled;
};

// Images with a border of zeros, for windows that look over the edge; `at(image, y, x)` is the place of a pixel.
class Bordered {
  constructor(count, [height, width], border) {
    Object.assign(this, {count, height, width, border, rowLength: width + 2 * border});
    this.values = new Float32Array(count * this.rowLength * (height + 2 * border) + 2 * border); // a window at the last pixel looks beyond the end
  }

  at(image, y, x) { return (image * (this.height + 2 * this.border) + y + this.border) * this.rowLength + x + this.border; }

  fill(images) {
    for (let row = 0; row < this.count * this.height; row++) {
      this.values.set(images.subarray(row * this.width, (row + 1) * this.width), this.at(Math.floor(row / this.height), row % this.height, 0));
    }
    return this.values;
  }
}

// The layers of PyTorch with trained weights. A layer is a function from a vector to a vector, and writes its answer where its last
// one was. Several images are a vector, too, one image after the other, each row by row.
class Layers {
  constructor(tensors, activation) { Object.assign(this, {tensors, activation}); }

  values(name, ...shape) {
    const found = this.tensors[name]?.shape;
    if (String(found) !== String(shape)) throw new Error(`${name} has the shape [${found ?? 'missing'}], expected [${shape}]`);
    return this.tensors[name].values;
  }

  linear(name, inputs, outputs, activation = identity) {
    const weight = this.values(`${name}.weight`, outputs, inputs), bias = this.values(`${name}.bias`, outputs);
    const columns = Float32Array.from(weight, (_, i) => weight[i % outputs * inputs + Math.floor(i / outputs)]);
    const out = new Float32Array(outputs), starts = inFours(Int32Array, new Array(inputs).fill(0)), factors = new Float32Array(starts.length);
    return x => {
      let count = 0;
      for (let i = 0; i < inputs; i++) {
        if (x[i] === 0) continue; // half of the units behind a ReLU, and most pixels
        starts[count] = i * outputs;
        factors[count++] = x[i];
      }
      while (count % 4) factors[count++] = 0;
      out.set(bias);
      addScaled(out, columns, starts, factors, count);
      for (let i = 0; i < outputs; i++) out[i] = activation(out[i]);
      return out;
    };
  }

  // Hidden layers one after the other; gives the network and the length of its answer.
  mlp(name, sizes) { // PyTorch counts the activations, too
    return [chain(sizes.slice(1).map((size, i) => this.linear(`${name}.${2 * i}`, sizes[i], size, this.activation))), sizes.at(-1)];
  }

  // Convolve at every second place, normalise by the running statistics, and keep what is positive.
  convolutionBlock(name, [height, width], inputs, outputs, size) {
    const weight = this.values(`${name}.0.weight`, outputs, inputs, size, size);
    const [gain, offset, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(o => this.values(`${name}.1.${o}`, outputs));
    const border = size >> 1, bordered = new Bordered(inputs, [height, width], border), {rowLength} = bordered, windowLength = inputs * size ** 2;
    const starts = inFours(Int32Array, Array.from({length: windowLength}, (_, i) => // of input, row and column of the window
      bordered.at(Math.floor(i / size ** 2), Math.floor(i / size) % size - border, i % size - border)));
    const factors = Array.from({length: outputs}, (_, output) => inFours(Float32Array, weight.subarray(output * windowLength, (output + 1) * windowLength)));
    const sums = new Float32Array(height * rowLength), out = new Float32Array(outputs * halfOf(height) * halfOf(width));
    return x => {
      bordered.fill(x);
      for (let output = 0, i = 0; output < outputs; output++) {
        addScaled(sums.fill(0), bordered.values, starts, factors[output]); // at all places: that is faster than to leave some out
        const scale = gain[output] / Math.sqrt(variance[output] + 1e-5);
        for (let row = 0; row < height; row += 2) {
          for (let column = 0; column < width; column += 2) out[i++] = Math.max((sums[row * rowLength + column] - mean[output]) * scale + offset[output], 0);
        }
      }
      return out;
    };
  }

  // Blocks one after the other, of which the first looks through a wider window; the same.
  convolutions(name, shape, channels) {
    const blocks = channels.map((outputs, i) => {
      const block = this.convolutionBlock(`${name}.${i + 1}`, shape, i ? channels[i - 1] : 1, outputs, i ? 3 : 5);
      shape = shape.map(halfOf);
      return block;
    });
    return [chain(blocks), (channels.at(-1) ?? 1) * product(shape)];
  }

  // One step between z and style: the second half of the vector is scaled and shifted as the first half and the class say.
  coupling(name, zDim, numClasses, width) {
    const kept = zDim >> 1, moved = zDim - kept;
    const hidden = this.linear(`${name}.net.0`, kept + numClasses, width, activations.relu), last = this.linear(`${name}.net.2`, width, 2 * moved);
    const change = (vector, probabilities, rule) => { // of each number of the second half, by its logarithmic scale and its shift
      const values = last(hidden(concatenate(vector.subarray(0, kept), probabilities))), changed = Float32Array.from(vector);
      for (let i = 0; i < moved; i++) changed[kept + i] = rule(vector[kept + i], Math.LN2 * Math.tanh(values[i] / Math.LN2), values[moved + i]);
      return changed;
    };
    return {
      forward: (z, probabilities) => change(z, probabilities, (value, logScale, shift) => value * Math.exp(logScale) + shift).reverse(),
      inverse: (style, probabilities) => change(Float32Array.from(style).reverse(), probabilities, (value, logScale, shift) => (value - shift) * Math.exp(-logScale)),
    };
  }
}

// The mean of each square of pixels; at the border, of those that there are.
function averagePool([height, width], size) {
  const rows = Math.ceil(height / size), columns = Math.ceil(width / size), out = new Float32Array(rows * columns);
  return image => {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const bottom = Math.min((row + 1) * size, height), right = Math.min((column + 1) * size, width);
        let sum = 0;
        for (let y = row * size; y < bottom; y++) for (let x = column * size; x < right; x++) sum += image[y * width + x];
        out[row * columns + column] = sum / ((bottom - row * size) * (right - column * size));
      }
    }
    return out;
  };
}

// What a config.json does not name is as in the reference model.
const reference = {
  image_shape: [28, 28], num_classes: 10, z_dim: 10, encoder_layers: [128], classifier_layers: [128], decoder_layers: [128],
  activation: 'sigmoid', encoder_pool: 1, couplings: 0, min_var: 1e-5, decoder_std: 0.5,
};
const classes = ['CVAE', 'FlowCVAE']; // of Python, that this page can run

function completeConfig(config) {
  const complete = {...reference, ...config}, {activation, num_classes: count} = complete, known = Object.keys(activations);
  if (!known.includes(activation)) throw new Error(`its activation is ${activation}, expected ${known.join(', ')}`);
  complete.class_names ??= Array.from({length: count}, (_, i) => String(i));
  return complete;
}

function makeClassifier(layers, withFlow, {classifier_layers: hidden, image_shape: shape, num_classes: classes}) {
  const [read, length] = withFlow ? layers.convolutions('classifier', shape, hidden) : layers.mlp('classifier', [product(shape), ...hidden]);
  const last = withFlow ? hidden.length + 2 : 2 * hidden.length; // as PyTorch counts
  return chain([read, layers.linear(`classifier.${last}`, length, classes)]);
}

// With a flow, the encoder reads squares of pixels and the class.
function makeEncoder(layers, withFlow, {encoder_layers: hidden, encoder_pool: size, image_shape: shape, min_var: minVar, num_classes: classes, z_dim: zDim}) {
  const pool = averagePool(shape, size), inputs = product(shape.map(side => Math.ceil(side / size))) + (withFlow ? classes : 0);
  const [read, length] = layers.mlp('encoder', [inputs, ...hidden]);
  const mean = layers.linear('encoder_mean', length, zDim), logVariance = layers.linear('encoder_log_var', length, zDim);
  return (image, probabilities) => {
    const h = read(withFlow ? concatenate(pool(image), probabilities) : image);
    return {mean: Float32Array.from(mean(h)), variance: logVariance(h).map(o => minVar + Math.exp(o))};
  };
}

export function makeDecoder(layers, {decoder_layers: hidden, image_shape: shape, num_classes: classes, z_dim: zDim}) {
  const [network, length] = layers.mlp('decoder', [zDim + classes, ...hidden]);
  const last = layers.linear(`decoder.${2 * hidden.length}`, length, product(shape));
  return (z, probabilities) => last(network(concatenate(z, probabilities))).map(sigmoid);
}

function makeFlow(layers, {couplings, coupling_width: width, num_classes: classes, z_dim: zDim}) {
  const names = Array.from({length: couplings}, (_, i) => `flow.couplings.${i}`);
  return names.map(name => layers.coupling(name, zDim, classes, width));
}

// The Python classes CVAE and FlowCVAE, as far as reading and drawing go. Images are vectors of pixels in [0, 1], row by row.
export class CVAE {
  constructor(config, tensors, name = 'CVAE', scores = null) { // what images are usual, if that is known
    if (!classes.includes(name)) throw new Error(`its class is ${name}, expected ${classes.join(', ')}`);
    this.config = completeConfig(config);
    this.scores = scores;
    const layers = new Layers(tensors, activations[this.config.activation]), withFlow = name === 'FlowCVAE';
    this.classifier = makeClassifier(layers, withFlow, this.config); // image -> logits of q(y|x)
    this.encoder = makeEncoder(layers, withFlow, this.config);       // image and probabilities -> mean and variance of q(z|x,y)
    this.decoder = makeDecoder(layers, this.config);                 // z and probabilities -> mean of p(x|z,y)
    this.couplings = makeFlow(layers, this.config);                  // between z and style, which are the same if there is none
  }

  // Image in, the probability of each class and the posterior out.
  infer(image) {
    const pixels = Float32Array.from(image), probabilities = softmax(this.classifier(pixels));
    return {probabilities, ...this.encoder(pixels, probabilities)};
  }

  // Image in, the probability of each class and the style out.
  read(image) {
    const {probabilities, mean} = this.infer(image);
    return {probabilities, style: this.couplings.reduce((o, coupling) => coupling.forward(o, probabilities), mean)};
  }

  // Style and probabilities in, the mean image out.
  draw(style, probabilities) {
    const z = this.couplings.reduceRight((o, coupling) => coupling.inverse(o, probabilities), Float32Array.from(style));
    return this.decoder(z, probabilities);
  }

  // The share of real images that are as unusual as an image, or more; NaN if that is not known. As `score` in Python: by how many
  // deviations do the error of its drawing and the length of its style exceed those of the images of its class?
  quantile(image, {probabilities, style}) {
    if (!this.scores) return NaN;
    const {means, deviations, shares, excess: known} = this.scores, label = indexOfLargest(probabilities), drawn = this.draw(style, probabilities);
    const error = Math.log(Math.max(image.reduce((sum, o, i) => sum + (o - drawn[i]) ** 2, 0) / image.length, 1e-6));
    const excess = Math.max(...[error, Math.hypot(...style)].map((o, i) => (o - means[label][i]) / deviations[label][i]));
    const next = known.findIndex(o => excess <= o);
    if (next <= 0) return next + 1; // above all of them 0, below all of them 1
    const part = (excess - known[next - 1]) / (known[next] - known[next - 1]);
    return shares[next - 1] * (1 - part) + shares[next] * part;
  }

  // From a folder as `save_pretrained` writes it; its config.json may name another file of weights, `file`.
  static async fromPretrained(folder) {
    const content = await downloadConfig(`${folder}/config.json`);
    const tensors = await downloadTensors(`${folder}/${content.file ?? 'model.safetensors'}`);
    try { return new CVAE(content.model, tensors, content.class, content.scores); } catch (e) { throw new Error(`${folder}: ${e.message}`); }
  }
}

// ---------- Drawings ----------

// A drawing as MNIST would hold it: its box is shrunk so that the longer side takes 20 of the 28 pixels, each pixel the
// mean of what it covers; then it moves, by whole pixels, until its centre of mass is in the middle.
// `ink` is in [0, 1], row by row; null if there is none.
export function normalise(ink, [inkHeight, inkWidth], [height, width]) {
  let top = inkHeight, bottom = -1, left = inkWidth, right = -1;
  for (let y = 0, i = 0; y < inkHeight; y++) {
    for (let x = 0; x < inkWidth; x++, i++) {
      if (ink[i] === 0) continue;
      top = Math.min(top, y); bottom = Math.max(bottom, y); left = Math.min(left, x); right = Math.max(right, x);
    }
  }
  if (bottom < 0) return null;
  const boxHeight = bottom - top + 1, boxWidth = right - left + 1;
  const longer = Math.max(1, Math.round(Math.min(height, width) * 20 / 28));
  const cell = Math.max(boxHeight, boxWidth) / longer; // pixels of the drawing that one of the image covers, a side
  const [rows, columns] = [boxHeight, boxWidth].map(side => Math.min(longer, Math.ceil(side / cell - 1e-6))); // in spite of rounding
  const overlap = (i, k) => Math.min(i + 1, (k + 1) * cell) - Math.max(i, k * cell); // of pixel i of the box and cell k
  const small = new Float32Array(rows * columns);
  let total = 0, totalX = 0, totalY = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let mass = 0;
      for (let y = Math.floor(row * cell); y < Math.min((row + 1) * cell, boxHeight); y++) {
        for (let x = Math.floor(column * cell); x < Math.min((column + 1) * cell, boxWidth); x++) {
          mass += ink[(top + y) * inkWidth + left + x] * overlap(y, row) * overlap(x, column);
        }
      }
      small[row * columns + column] = mass / cell ** 2;
      total += mass; totalX += mass * column; totalY += mass * row;
    }
  }

  const shift = (size, cells, mean) => Math.min(Math.max(Math.floor(size / 2) - Math.round(mean), 0), size - cells); // no ink is lost
  const down = shift(height, rows, totalY / total), across = shift(width, columns, totalX / total);
  const image = new Float32Array(height * width);
  for (let row = 0; row < rows; row++) image.set(small.subarray(row * columns, (row + 1) * columns), (row + down) * width + across);
  return image;
}

// The ink without what a hand leaves by accident: parts that hold less than a twentieth of it, and dots, at most two pens wide, that hold
// less than a quarter. `pen` is the width of the pen in pixels.
export function withoutSpecks(ink, [height, width], pen) {
  const part = new Int32Array(ink.length), parts = [{}], waiting = []; // part 0 is the ground
  let total = 0;
  for (let start = 0; start < ink.length; start++) {
    if (ink[start] === 0 || part[start]) continue;
    const found = {mass: 0, top: height, bottom: -1, left: width, right: -1};
    part[start] = parts.push(found) - 1;
    waiting.push(start);
    while (waiting.length) {
      const i = waiting.pop(), y = Math.floor(i / width), x = i % width;
      found.mass += ink[i];
      found.top = Math.min(found.top, y); found.bottom = Math.max(found.bottom, y); found.left = Math.min(found.left, x); found.right = Math.max(found.right, x);
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
        for (let u = Math.max(x - 1, 0), k = v * width + u; u <= Math.min(x + 1, width - 1); u++, k++) {
          if (ink[k] && !part[k]) { part[k] = part[start]; waiting.push(k); }
        }
      }
    }
    total += found.mass;
  }
  const isSpeck = parts.map(({mass, top, bottom, left, right}) => mass < total / 20 || (mass < total / 4 && Math.max(bottom - top, right - left) < 2 * pen));
  return ink.map((o, i) => isSpeck[part[i]] ? 0 : o);
}

// The longer side of the box around the ink, in pixels.
function extent(ink, width) {
  let [top, bottom, left, right] = [Infinity, -Infinity, Infinity, -Infinity];
  ink.forEach((o, i) => {
    if (o === 0) return;
    const y = Math.floor(i / width), x = i % width;
    top = Math.min(top, y); bottom = Math.max(bottom, y); left = Math.min(left, x); right = Math.max(right, x);
  });
  return Math.max(bottom - top, right - left) + 1;
}

// ---------- Pad ----------

const penWidth = 0.07; // of the shorter side of the pad

// A canvas to draw on with mouse, pen, finger or keys; `changed(finished)` is called whenever there is other ink on it.
class Pad {
  constructor([height, width], changed) {
    [this.height, this.width] = [10 * height, 10 * width];
    this.changed = changed;
    this.canvas = element('canvas', {
      width: this.width, height: this.height, tabindex: 0, role: 'application',
      'aria-label': 'Drawing pad. The arrow keys move the pen, the space bar lowers and lifts it, delete clears the pad.',
      onpointerdown: e => this.press(e), onpointermove: e => this.move(e), onpointerup: e => this.lift(e), onpointercancel: e => this.lift(e),
      onkeydown: e => this.key(e), onfocus: () => this.placePen(), onblur: () => this.lowerPen(false),
    });
    this.context = this.canvas.getContext('2d', {willReadFrequently: true});
    this.penWidth = penWidth * Math.min(this.height, this.width);
    Object.assign(this.context, {lineWidth: this.penWidth, lineCap: 'round', strokeStyle: 'white', imageSmoothingEnabled: false});
    this.pen = [this.width / 2, this.height / 2]; // where the keys have moved it
    this.penMark = element('span', {class: 'pen'});
    this.hint = element('span', {class: 'hint', 'aria-hidden': true}, 'Draw a digit');
    this.node = element('div', {class: 'pad'}, this.canvas, this.penMark, this.hint);
    this.wipe();
    this.lowerPen(false);
  }

  wipe() {
    this.context.fillRect(0, 0, this.width, this.height);
    this.hint.hidden = false;
    this.isPainted = true; // not a stroke of a hand so far
  }

  clear() { this.wipe(); this.changed(true); }

  // An image in place of what is there, with its upper left corner at (x, y) and `scale` pixels of the pad for one of its own.
  paint(pixels, [height, width], x = 0, y = 0, scale = 10) {
    const image = element('canvas', {width, height});
    show(image, pixels);
    this.wipe();
    this.context.drawImage(image, x, y, width * scale, height * scale);
    this.hint.hidden = true;
    this.changed(true);
  }

  ink() { // in [0, 1], row by row; of a hand, without specks
    const {data} = this.context.getImageData(0, 0, this.width, this.height), ink = new Float32Array(data.length / 4);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i] / 255;
    return this.isPainted ? ink : withoutSpecks(ink, [this.height, this.width], this.penWidth);
  }

  line(from, to) {
    this.hint.hidden = true;
    this.isPainted = false;
    this.context.beginPath();
    this.context.moveTo(...from);
    this.context.lineTo(to[0] + 0.01, to[1]); // a line without length would leave no dot
    this.context.stroke();
    this.changed(false);
  }

  position(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * this.width / box.width, (event.clientY - box.top) * this.height / box.height];
  }

  press(event) {
    if (!event.isPrimary || event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.position(event);
    this.line(this.last, this.last);
  }

  move(event) {
    if (!this.last || !event.isPrimary) return;
    const events = event.getCoalescedEvents?.() ?? []; // all that happened since the last frame, so that curves stay round
    for (const next of (events.length ? events : [event]).map(o => this.position(o))) {
      this.line(this.last, next);
      this.last = next;
    }
  }

  lift(event) {
    if (!this.last || !event.isPrimary) return;
    this.last = null;
    this.changed(true);
  }

  key(event) {
    const direction = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (direction) this.movePen(direction);
    else if (event.key === ' ') this.lowerPen(!this.isDown);
    else if (event.key === 'Delete' || event.key === 'Backspace') this.clear();
    else return;
    event.preventDefault(); // else the page would scroll
  }

  movePen([across, down]) {
    const inside = (value, size) => Math.min(Math.max(value, 0), size), before = this.pen;
    this.pen = [inside(before[0] + 10 * across, this.width), inside(before[1] + 10 * down, this.height)];
    if (this.isDown) this.line(before, this.pen);
    this.placePen();
  }

  lowerPen(isDown) {
    const finished = this.isDown && !isDown;
    this.isDown = isDown;
    if (isDown) this.line(this.pen, this.pen);
    if (finished) this.changed(true);
    this.placePen();
  }

  placePen() {
    this.penMark.style.left = `${100 * this.pen[0] / this.width}%`;
    this.penMark.style.top = `${100 * this.pen[1] / this.height}%`;
    this.penMark.classList.toggle('down', this.isDown);
  }
}

// ---------- Page ----------

// An element with its attributes, the listeners among them, and its children.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Pixels in [0, 1] in grey, on a canvas of the image's size.
function show(canvas, pixels) {
  const data = new ImageData(canvas.width, canvas.height);
  for (let i = 0; i < pixels.length; i++) {
    data.data[4 * i] = data.data[4 * i + 1] = data.data[4 * i + 2] = 255 * pixels[i];
    data.data[4 * i + 3] = 255;
  }
  canvas.getContext('2d').putImageData(data, 0, 0);
}

const standardNormal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); // Box & Muller 1958
const usualLimit = 3; // of a slider; further, if a style is
const limitOf = style => Math.max(usualLimit, ...style.map(o => Math.ceil(Math.abs(o))));
const rarest = 1 / 100; // a smaller share of real images deserves a notice
const percent = share => `${Math.round(100 * share)} %`;

// <cvae-explorer models="FOLDER FOLDER ..." examples="FILE">: a class and a style, which the reader sets with buttons and sliders, or by
// drawing. The first model is loaded at once, the others when they are asked for. Its children are what a reader sees without JavaScript;
// one of them, with slot="picture", stays if the model cannot be loaded.
class CVAEExplorer extends HTMLElement {
  async connectedCallback() {
    if (this.shown) return; // moved within the page
    this.shown = true;
    this.models = {}; // promises, by their folder
    this.folders = this.getAttribute('models').trim().split(/\s+/);
    let model;
    try {
      [model, this.examples] = await Promise.all([this.load(this.folders[0]), downloadTensors(this.getAttribute('examples'))]);
    } catch (e) {
      const sentence = element('p', {role: 'alert'}, `The model cannot be shown: ${e.message}.`);
      return this.attachShadow({mode: 'open'}).append(sentence, element('slot', {name: 'picture'}));
    }
    this.nextExample = 0;
    this.makeChooser();
    this.use(this.folders[0], model);
  }

  // The choice of a model, above all that changes with it.
  makeChooser() {
    this.wanted = this.folders[0];
    this.modelRadios = this.folders.map(folder => element('input', {type: 'radio', name: 'model', value: folder, onchange: () => this.choose(folder)}));
    this.notice = element('span', {role: 'status'});
    this.content = element('div');
    const name = folder => folder.split('/').at(-1);
    this.attachShadow({mode: 'open'}).append(
      element('style', {}, css),
      element('fieldset', {class: 'models'}, element('legend', {}, 'Model'),
        ...this.folders.map((folder, i) => element('label', {}, this.modelRadios[i], name(folder))), this.notice),
      this.content);
  }

  load(folder) {
    return this.models[folder] ??= CVAE.fromPretrained(folder).catch(e => { delete this.models[folder]; throw e; });
  }

  async choose(folder) {
    this.wanted = folder;
    this.notice.textContent = 'Loading …';
    let model, complaint = '';
    try { model = await this.load(folder); } catch (e) { complaint = `The model cannot be shown: ${e.message}.`; }
    if (this.wanted !== folder) return; // the reader has chosen another one meanwhile
    this.notice.textContent = complaint;
    if (model) this.use(folder, model);
    else this.markModel();
  }

  markModel() { this.modelRadios.forEach((radio, i) => { radio.checked = this.folders[i] === this.folder; }); }

  // Show a model: the digit stays; the style, which means nothing to another model, becomes that of the drawing, or zero.
  use(folder, model) {
    const before = this.model?.config, {image_shape: shape, num_classes: numClasses, z_dim: zDim} = model.config;
    const label = before && this.choice.label < numClasses ? this.choice.label : 0;
    Object.assign(this, {folder, model, choice: {label, style: Array(zDim).fill(0)}, limit: usualLimit});
    this.markModel();
    this.makeControls();
    this.makeReading();
    if (String(before?.image_shape) !== String(shape)) this.pad = new Pad(shape, finished => { this.padChanged = true; this.finished = finished; this.refresh(); });
    this.layOut();
    this.read();
    this.choice.label = label;
    this.draw();
  }

  canvas(attributes) {
    const [height, width] = this.model.config.image_shape;
    return element('canvas', {height, width, ...attributes});
  }

  // Class and style.
  makeControls() {
    const names = this.model.config.class_names, {style} = this.choice;
    this.picture = this.canvas({class: 'picture', role: 'img'});
    this.classes = names.map((name, i) => element('input', {type: 'radio', name: 'class', value: name, onchange: () => this.set({label: i})}));
    this.classPictures = names.map(() => this.canvas({'aria-hidden': true}));
    this.sliders = style.map((_, i) => element('input', {
      type: 'range', step: 0.05, 'aria-label': `style ${i + 1}`,
      oninput: e => this.set({style: this.choice.style.with(i, e.target.valueAsNumber)}, this.limit), // which stays while a hand moves it
    }));
    this.values = style.map(() => element('span', {'aria-hidden': true})); // the sliders say it themselves
  }

  // What the model reads from the pad.
  makeReading() {
    const names = this.model.config.class_names;
    this.seen = this.canvas({role: 'img', 'aria-label': 'Your drawing, as the model sees it'});
    this.meters = names.map(name => element('meter', {'aria-label': `probability of ${name}`}));
    this.shares = names.map(() => element('span'));
    this.status = element('p', {role: 'status', class: 'status'});
  }

  paintExample() {
    const {shape: [count, height, width], values} = this.examples.images, start = height * width * (this.nextExample++ % count);
    this.pad.paint(Array.from(values.subarray(start, start + height * width), o => o / 255), [height, width]);
  }

  layOut() {
    const {image_shape: [height, width], class_names: names} = this.model.config;
    const caption = text => element('p', {class: 'caption'}, text);
    const button = (text, onclick) => element('button', {type: 'button', onclick}, text);
    const row = (name, i) => element('li', {}, element('span', {}, name), this.meters[i], this.shares[i]);
    const zeros = this.choice.style;

    this.content.replaceChildren(
      element('fieldset', {}, element('legend', {}, 'Digit, in one style'),
        element('div', {class: 'classes'}, ...names.map((name, i) => element('label', {}, this.classes[i], this.classPictures[i], name)))),
      element('div', {class: 'halves'},
        element('section', {class: 'yours', 'aria-label': 'What you draw'}, caption('What you draw'), this.pad.node,
          element('p', {class: 'buttons'}, button('Clear', () => this.pad.clear()), ' ', button('Paint a test image', () => this.paintExample())),
          this.status,
          element('div', {class: 'reading'}, element('div', {}, caption('As the model sees it'), this.seen),
            element('ul', {class: 'bars', 'aria-label': 'What the classifier makes of it'}, ...names.map(row)))),
        element('section', {class: 'models-own', 'aria-label': 'What the model draws'}, caption('What the model draws'), this.picture,
          element('p', {class: 'buttons'}, button('New style', () => this.set({style: zeros.map(standardNormal)})), ' ',
            button('Back to zero', () => this.set({style: zeros}))),
          element('fieldset', {}, element('legend', {}, 'Style, in standard deviations of the prior'),
            element('div', {class: 'sliders'}, ...this.sliders.map((slider, i) => element('label', {}, String(i + 1), slider, this.values[i])))))));
    this.style.setProperty('--aspect', width / height);
  }

  set(change, limit = null) { // of the choice: `label`, `style`, or both; the ends of the sliders
    Object.assign(this.choice, change);
    this.limit = limit ?? limitOf(this.choice.style);
    this.refresh();
  }

  refresh() { // at most once a frame
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.padChanged) this.read();
      this.draw();
    });
  }

  // Class and style from the drawing, if there is one.
  read() {
    this.padChanged = false;
    const {image_shape: shape, class_names: names, num_classes: numClasses} = this.model.config;
    const ink = this.pad.ink(), image = normalise(ink, [this.pad.height, this.pad.width], shape);
    const reading = image ? this.model.read(image) : {probabilities: Array(numClasses).fill(0)}, {probabilities, style} = reading;
    show(this.seen, image ?? new Float32Array(product(shape)));
    probabilities.forEach((share, i) => { this.meters[i].value = share; this.shares[i].textContent = image ? percent(share) : ''; });
    if (!image) { this.status.textContent = ''; return; }
    const label = indexOfLargest(probabilities);
    this.choice = {label, style: Array.from(style)};
    this.limit = limitOf(this.choice.style);
    if (!this.finished) return;
    const isStrange = this.model.quantile(image, reading) < rarest || extent(ink, this.pad.width) < 2 * this.pad.penWidth;
    this.status.textContent = `Read as ${names[label]}, with a probability of ${percent(probabilities[label])}.` + (isStrange ? ' It does not look like a digit that I know.' : '');
  }

  draw() {
    const {num_classes: numClasses, class_names: names} = this.model.config, {label, style} = this.choice;
    const images = names.map((_, i) => this.model.draw(style, oneHot(i, numClasses)));
    images.forEach((image, i) => show(this.classPictures[i], image));
    show(this.picture, images[label]);
    this.picture.setAttribute('aria-label', `${names[label]}, drawn by the model in the style of the sliders`);
    this.classes[label].checked = true;
    style.forEach((value, i) => { Object.assign(this.sliders[i], {min: -this.limit, max: this.limit, value}); this.values[i].textContent = value.toFixed(1).replace('-0.0', '0.0'); });
  }
}

const css = `
  :host { display: block; container-type: inline-size; font-size: 1rem; line-height: 1.4; --line: color-mix(in srgb, currentColor 35%, transparent); --accent: #2780e3; }
  * { box-sizing: border-box; font: inherit; }
  p { margin: .25rem 0; }
  fieldset { border: 0; margin: 0 0 1rem; padding: 0; min-width: 0; }
  fieldset:last-child { margin: 0; }
  legend, .caption { font-size: .875em; padding: 0; margin: 0 0 .25rem; }
  canvas { display: block; width: 100%; background: black; image-rendering: pixelated; }
  .models label { margin-right: 1.25rem; cursor: pointer; }
  .models input { margin: 0 .4rem 0 0; vertical-align: -.1em; accent-color: var(--accent); }
  .classes { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(2.5rem, 18%), 1fr)); gap: .25rem; }
  .classes label { position: relative; padding: .25rem; text-align: center; border: 2px solid transparent; border-radius: .4rem; }
  .classes input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
  .classes label:has(:checked) { border-color: var(--accent); font-weight: 700; }
  .halves { display: grid; gap: 0 .75rem; grid-template-columns: minmax(0, 17.5rem) minmax(4.5rem, 1fr); }
  .halves > section { display: contents; }
  :where(.halves > section > *) { grid-column: 1 / -1; }
  .yours > .caption, .yours > .pad { grid-column: 1; }
  .models-own > .caption, .models-own > .picture { grid-column: 2; }
  .yours > .caption, .models-own > .caption { grid-row: 1; align-self: end; }
  .yours > .pad, .models-own > .picture { grid-row: 2; align-self: start; }
  @container (min-width: 36rem) { .halves { grid-template-columns: 1fr 1fr; gap: 1.5rem; } .halves > section { display: block; } .classes { grid-template-columns: repeat(auto-fill, minmax(max(2.5rem, 9%), 1fr)); } }
  .picture, .pad { width: min(100%, 17.5rem); aspect-ratio: var(--aspect); border: 1px solid var(--line); }
  .pad { position: relative; }
  .pad canvas { height: 100%; cursor: crosshair; touch-action: none; image-rendering: auto; }
  .hint { position: absolute; inset: 0; display: grid; place-items: center; color: #c8c8c8; pointer-events: none; }
  .hint[hidden] { display: none; }
  .pen { position: absolute; width: 1.1rem; height: 1.1rem; translate: -50% -50%; border: 2px solid var(--accent); border-radius: 50%; pointer-events: none; visibility: hidden; }
  .pen.down { background: var(--accent); }
  canvas:focus-visible + .pen { visibility: visible; }
  .sliders { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: 0 1rem; max-height: 20rem; overflow-y: auto; }
  .sliders label, .bars li { display: grid; grid-template-columns: 1.5em 1fr 2.7em; gap: .4rem; align-items: center; font-size: .875em; font-variant-numeric: tabular-nums; }
  .sliders span, .bars span:last-child { text-align: right; }
  input[type=range], meter { width: 100%; min-width: 0; margin: 0; }
  input[type=range] { height: 1.75rem; accent-color: var(--accent); }
  .status { min-height: 2.8em; }
  .reading { display: grid; grid-template-columns: 6rem 1fr; gap: 1rem; }
  .bars { list-style: none; margin: 0; padding: 0; }
  .bars li { grid-template-columns: minmax(1em, auto) 1fr 3.2em; min-height: 1.5em; }
  .buttons { margin: .75rem 0; }
  button { padding: .35rem .8rem; border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; cursor: pointer; }
  button:hover { border-color: currentColor; }
  :focus-visible, label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
  .classes input:focus-visible { outline: none; }
`;

customElements.define('cvae-explorer', CVAEExplorer);

export {Layers, Pad, activations, downloadTensors, element, product, show}; // for touch.js
