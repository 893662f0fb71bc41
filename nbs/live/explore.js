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

async function download(path) {
  const response = await fetch(path).catch(() => { throw new Error(`${path} could not be fetched`); });
  if (!response.ok) throw new Error(`${path} could not be fetched (${response.status})`);
  return response.arrayBuffer();
}

async function downloadTensors(path) {
  const buffer = await download(path);
  return readSafetensors(buffer).catch(e => { throw new Error(`${path}: ${e.message}`); });
}

async function downloadConfig(path) {
  const text = new TextDecoder().decode(await download(path));
  let content;
  try { content = JSON.parse(text); } catch { throw new Error(`${path}: not JSON`); }
  if (content?.format !== 1 || !content.model) throw new Error(`${path}: not the configuration of a model that this page can read`);
  return content.model;
}

// ---------- Model ----------

const sigmoid = x => 1 / (1 + Math.exp(-x));
const activations = {
  sigmoid, tanh: Math.tanh, relu: x => Math.max(x, 0), leaky_relu: x => x > 0 ? x : 0.01 * x,
  elu: x => x > 0 ? x : Math.expm1(x), silu: x => x * sigmoid(x), softplus: x => x > 20 ? x : Math.log1p(Math.exp(x)),
};

function softmax(logits) {
  const largest = Math.max(...logits), powers = logits.map(o => Math.exp(o - largest));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(o => o / sum);
}

export const oneHot = (label, numClasses) => Float32Array.from({length: numClasses}, (_, i) => Number(i === label));
export const indexOfLargest = values => values.indexOf(Math.max(...values));

// The three networks of the Python class of this name. Images are vectors of pixels in [0, 1], row by row.
export class CVAE {
  constructor(config, tensors) {
    const {image_shape: [height, width], num_classes: classes, z_dim: zDim} = config, pixels = height * width;
    const activation = activations[config.activation];
    if (!activation) throw new Error(`its activation is ${config.activation}, expected ${Object.keys(activations).join(', ')}`);

    const valuesOf = (name, ...shape) => {
      const found = tensors[name]?.shape;
      if (String(found) !== String(shape)) throw new Error(`${name} has the shape [${found ?? 'missing'}], expected [${shape}]`);
      return tensors[name].values;
    };
    const linear = (name, inputs, outputs, activation) => {
      const weight = valuesOf(`${name}.weight`, outputs, inputs), bias = valuesOf(`${name}.bias`, outputs);
      return x => {
        const out = new Float32Array(outputs);
        for (let row = 0, i = 0; row < outputs; row++) {
          let sum = bias[row];
          for (let column = 0; column < inputs; column++) sum += weight[i++] * x[column];
          out[row] = activation(sum);
        }
        return out;
      };
    };
    const network = (name, inputs, hidden, outputs, lastActivation, lastName = `${name}.${2 * hidden.length}`) => {
      const sizes = [inputs, ...hidden];
      const layers = hidden.map((size, i) => linear(`${name}.${2 * i}`, sizes[i], size, activation)); // PyTorch counts activations, too
      layers.push(linear(lastName, sizes.at(-1), outputs, lastActivation));
      return x => layers.reduce((h, layer) => layer(h), x);
    };

    const identity = x => x;
    const encoder = network('encoder', pixels, config.encoder_layers, zDim, identity, 'encoder_mean');
    const classifier = network('classifier', pixels, config.classifier_layers, classes, identity);
    const decoder = network('decoder', zDim + classes, config.decoder_layers, pixels, sigmoid);
    this.config = config;
    this.encode = encoder;                                                 // image -> mean of q(z|x), the style
    this.classify = image => softmax(classifier(image));                   // image -> q(y|x), the probability of each class
    this.decode = (z, probabilities) => decoder([...z, ...probabilities]); // style and class -> mean of p(x|z,y), an image
  }

  // From a folder as `save_pretrained` writes it.
  static async fromPretrained(folder) {
    const [config, tensors] = await Promise.all([downloadConfig(`${folder}/config.json`), downloadTensors(`${folder}/model.safetensors`)]);
    try { return new CVAE(config, tensors); } catch (e) { throw new Error(`${folder}: ${e.message}`); }
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
    Object.assign(this.context, {lineWidth: penWidth * Math.min(this.height, this.width), lineCap: 'round', strokeStyle: 'white', imageSmoothingEnabled: false});
    this.pen = [this.width / 2, this.height / 2]; // where the keys have moved it
    this.penMark = element('span', {class: 'pen'});
    this.node = element('div', {class: 'pad'}, this.canvas, this.penMark);
    this.wipe();
    this.lowerPen(false);
  }

  wipe() { this.context.fillRect(0, 0, this.width, this.height); }

  clear() { this.wipe(); this.changed(true); }

  // An image in place of what is there, with its upper left corner at (x, y) and `scale` pixels of the pad for one of its own.
  paint(pixels, [height, width], x = 0, y = 0, scale = 10) {
    const image = element('canvas', {width, height});
    show(image, pixels);
    this.wipe();
    this.context.drawImage(image, x, y, width * scale, height * scale);
    this.changed(true);
  }

  ink() { // in [0, 1], row by row
    const {data} = this.context.getImageData(0, 0, this.width, this.height), ink = new Float32Array(data.length / 4);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i] / 255;
    return ink;
  }

  line(from, to) {
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
const percent = share => `${Math.round(100 * share)} %`;

// <cvae-explorer model="FOLDER" examples="FILE">: a class and a style, which the reader sets with buttons and sliders, or by drawing.
// Its children are what a reader sees without JavaScript; one of them, with slot="picture", stays if the model cannot be loaded.
class CVAEExplorer extends HTMLElement {
  async connectedCallback() {
    if (this.shown) return; // moved within the page
    this.shown = true;
    try {
      [this.model, this.examples] = await Promise.all([CVAE.fromPretrained(this.getAttribute('model')), downloadTensors(this.getAttribute('examples'))]);
    } catch (e) {
      const sentence = element('p', {role: 'alert'}, `The model cannot be shown: ${e.message}.`);
      return this.attachShadow({mode: 'open'}).append(sentence, element('slot', {name: 'picture'}));
    }
    this.label = 0;
    this.z = Array(this.model.config.z_dim).fill(0);
    this.makeControls();
    this.makePad();
    this.layOut();
    this.draw();
  }

  canvas(attributes) {
    const [height, width] = this.model.config.image_shape;
    return element('canvas', {height, width, ...attributes});
  }

  // Class and style.
  makeControls() {
    const names = this.model.config.class_names;
    this.picture = this.canvas({class: 'picture', role: 'img'});
    this.classes = names.map((name, i) => element('input', {type: 'radio', name: 'class', value: name, onchange: () => this.set({label: i})}));
    this.classPictures = names.map(() => this.canvas({'aria-hidden': true}));
    this.sliders = this.z.map((_, i) => element('input', {
      type: 'range', min: -3, max: 3, step: 0.05, 'aria-label': `z${i + 1}`, oninput: e => this.set({z: this.z.with(i, e.target.valueAsNumber)}),
    }));
    this.values = this.z.map(() => element('span', {'aria-hidden': true})); // the sliders say it themselves
  }

  // The pad, and what the model reads from it.
  makePad() {
    const {image_shape: shape, class_names: names} = this.model.config;
    this.pad = new Pad(shape, finished => { this.padChanged = true; this.finished = finished; this.refresh(); });
    this.seen = this.canvas({role: 'img', 'aria-label': 'Your drawing, as the model sees it'});
    this.meters = names.map(name => element('meter', {'aria-label': `probability of ${name}`}));
    this.shares = names.map(() => element('span'));
    this.reading = element('div', {class: 'reading', hidden: ''});
    this.status = element('p', {role: 'status'});
    this.nextExample = 0;
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
    this.reading.append(element('div', {}, caption('As the model sees it'), this.seen),
      element('ul', {class: 'bars', 'aria-label': 'What the classifier makes of it'}, ...names.map(row)));

    this.attachShadow({mode: 'open'}).append(
      element('style', {}, css),
      element('fieldset', {}, element('legend', {}, 'Digit, in one style'),
        element('div', {class: 'classes'}, ...names.map((name, i) => element('label', {}, this.classes[i], this.classPictures[i], name)))),
      element('div', {class: 'halves'},
        element('section', {'aria-label': 'What the model draws'}, caption('What the model draws'), this.picture,
          element('fieldset', {}, element('legend', {}, 'Style, in standard deviations of the prior'),
            element('div', {class: 'sliders'}, ...this.sliders.map((slider, i) => element('label', {}, `z${i + 1}`, slider, this.values[i])))),
          button('New style', () => this.set({z: this.z.map(standardNormal)})), ' ',
          button('Back to zero', () => this.set({z: this.z.map(() => 0)}))),
        element('section', {'aria-label': 'What you draw'}, caption('What you draw'), this.pad.node,
          button('Clear', () => this.pad.clear()), ' ', button('Paint a test image', () => this.paintExample()), this.status, this.reading)));
    this.style.setProperty('--aspect', width / height);
  }

  set(choice) { // of `label`, of `z`, or of both
    Object.assign(this, choice);
    this.refresh();
  }

  refresh() { // at most once a frame
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (this.padChanged) this.read();
      this.draw();
    });
  }

  // Class and style from the drawing.
  read() {
    this.padChanged = false;
    const image = normalise(this.pad.ink(), [this.pad.height, this.pad.width], this.model.config.image_shape);
    this.reading.hidden = !image;
    if (!image) { this.status.textContent = ''; return; }
    const probabilities = this.model.classify(image);
    Object.assign(this, {label: indexOfLargest(probabilities), z: Array.from(this.model.encode(image))});
    show(this.seen, image);
    probabilities.forEach((share, i) => { this.meters[i].value = share; this.shares[i].textContent = percent(share); });
    if (this.finished) this.status.textContent = `Read as ${this.model.config.class_names[this.label]}, with a probability of ${percent(probabilities[this.label])}.`;
  }

  draw() {
    const {num_classes: numClasses, class_names: names} = this.model.config;
    const images = names.map((_, i) => this.model.decode(this.z, oneHot(i, numClasses)));
    images.forEach((image, i) => show(this.classPictures[i], image));
    show(this.picture, images[this.label]);
    this.picture.setAttribute('aria-label', `${names[this.label]}, drawn by the model in the style of the sliders`);
    this.classes[this.label].checked = true;
    this.z.forEach((value, i) => { this.sliders[i].value = value; this.values[i].textContent = value.toFixed(1).replace('-0.0', '0.0'); });
  }
}

const css = `
  :host { display: block; container-type: inline-size; --line: color-mix(in srgb, currentColor 35%, transparent); --accent: #2780e3; }
  * { box-sizing: border-box; font: inherit; }
  [hidden] { display: none !important; }
  p { margin: .25rem 0; }
  fieldset { border: 0; margin: 0 0 1rem; padding: 0; min-width: 0; }
  legend, .caption { font-size: .875em; padding: 0; margin: 0 0 .25rem; }
  canvas { display: block; width: 100%; background: black; image-rendering: pixelated; }
  .classes { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(2.5rem, 18%), 1fr)); gap: .25rem; }
  .classes label { position: relative; padding: .25rem; text-align: center; border: 2px solid transparent; border-radius: .4rem; }
  .classes input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: pointer; }
  .classes label:has(:checked) { border-color: var(--accent); font-weight: 700; }
  .halves { display: grid; gap: 1.5rem; }
  @container (min-width: 36rem) { .halves { grid-template-columns: 1fr 1fr; } .classes { grid-template-columns: repeat(auto-fill, minmax(max(2.5rem, 9%), 1fr)); } }
  .picture, .pad { width: min(100%, 17.5rem); aspect-ratio: var(--aspect); margin-bottom: .75rem; border: 1px solid var(--line); }
  .pad { position: relative; }
  .pad canvas { height: 100%; cursor: crosshair; touch-action: none; image-rendering: auto; }
  .pen { position: absolute; width: 1.1rem; height: 1.1rem; translate: -50% -50%; border: 2px solid var(--accent); border-radius: 50%; pointer-events: none; visibility: hidden; }
  .pen.down { background: var(--accent); }
  canvas:focus-visible + .pen { visibility: visible; }
  .sliders { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 0 1rem; max-height: 20rem; overflow-y: auto; }
  .sliders label, .bars li { display: grid; grid-template-columns: 2em 1fr 3em; gap: .4rem; align-items: center; font-size: .875em; font-variant-numeric: tabular-nums; }
  .sliders span, .bars span:last-child { text-align: right; }
  input[type=range], meter { width: 100%; min-width: 0; margin: 0; }
  input[type=range] { height: 1.75rem; accent-color: var(--accent); }
  .reading { display: grid; grid-template-columns: 6rem 1fr; gap: 1rem; margin-top: .5rem; }
  .bars { list-style: none; margin: 0; padding: 0; }
  .bars li { grid-template-columns: minmax(1em, auto) 1fr 3.2em; }
  button { padding: .35rem .8rem; border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; cursor: pointer; }
  button:hover { border-color: currentColor; }
  :focus-visible, label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
  .classes input:focus-visible { outline: none; }
`;

customElements.define('cvae-explorer', CVAEExplorer);
