// Small live elements for the pages of the tutorial: one digit, which the reader draws once and finds again on each page.
// Nothing is fetched before a reader draws, or comes to an element with a drawing that the browser has kept.
import {CVAE, Layers, Pad, activations, downloadTensors, element, indexOfLargest, makeDecoder, normalise, oneHot, product, show} from './explore.js';

const stored = 'cvae_nbdev digit'; // in the browser's own storage, which no server sees
const number = (value, digits = 1) => value.toFixed(digits).replace('-0.0', '0.0');
const sum = values => values.reduce((a, b) => a + b, 0);

const css = `
  :host { display: block; container-type: inline-size; margin: 1rem 0 1.5rem; font-size: .9rem; line-height: 1.4; --line: color-mix(in srgb, currentColor 35%, transparent); --accent: #2780e3; }
  * { box-sizing: border-box; font: inherit; }
  p { margin: .25rem 0; }
  .columns { display: grid; gap: 1.25rem; }
  @container (min-width: 32rem) { .columns { grid-template-columns: 10rem 1fr; } }
  canvas { display: block; width: 100%; background: black; image-rendering: pixelated; }
  .pad { position: relative; width: 10rem; height: 10rem; border: 1px solid var(--line); }
  .pad canvas { height: 100%; cursor: crosshair; touch-action: none; image-rendering: auto; }
  .pen { position: absolute; width: .9rem; height: .9rem; translate: -50% -50%; border: 2px solid var(--accent); border-radius: 50%; pointer-events: none; visibility: hidden; }
  .pen.down { background: var(--accent); }
  canvas:focus-visible + .pen { visibility: visible; }
  .hint { position: absolute; inset: 45% 0 auto; text-align: center; color: #bbb; pointer-events: none; }
  [hidden] { display: none; }
  .digits { display: grid; grid-template-columns: repeat(10, minmax(0, 4rem)); gap: .2rem; text-align: center; }
  .digits .chosen { outline: 2px solid var(--accent); }
  .pair { display: grid; grid-template-columns: repeat(2, 6rem); gap: .5rem; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  td { padding: 0 .6rem 0 0; }
  .axis { position: relative; width: min(14rem, 40cqw); height: .9rem; border-left: 1px solid var(--line); background: linear-gradient(var(--line), var(--line)) center / 1px 100% no-repeat; }
  .axis span { position: absolute; top: .3rem; height: .3rem; background: var(--accent); border-radius: .15rem; }
  button { padding: .2rem .6rem; border: 1px solid var(--line); border-radius: .4rem; background: transparent; color: inherit; cursor: pointer; }
  label { display: grid; grid-template-columns: 11rem 1fr 4rem; gap: .75rem; align-items: center; max-width: 34rem; }
  input[type=range] { width: 100%; min-width: 0; margin: 0; accent-color: var(--accent); }
  meter { width: min(10rem, 30cqw); }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
`;

// An image [H*W] on a canvas of its own.
function picture([height, width], pixels, label) {
  const canvas = element('canvas', {height, width, role: 'img', 'aria-label': label});
  show(canvas, pixels);
  return canvas;
}

const views = {
  // What the networks read: the probability of each digit; mean and standard deviation of each number of z.
  posterior([model], image) {
    const {probabilities, mean, variance} = model.infer(image), {class_names: names} = model.config;
    const place = value => `${100 * (Math.min(Math.max(value, -4), 4) + 4) / 8}%`;
    const axis = (m, s) => {
      const bar = element('span');
      Object.assign(bar.style, {left: place(m - s), right: `calc(100% - ${place(m + s)})`});
      return element('div', {class: 'axis'}, bar);
    };
    const row = (...cells) => element('tr', {}, ...cells.map(o => element('td', {}, o)));
    const meter = value => element('meter', {value, 'aria-label': 'probability'});
    return [
      element('p', {}, `The classifier reads a ${names[indexOfLargest(probabilities)]}.`),
      element('div', {class: 'columns'},
        element('table', {class: 'probabilities'}, ...names.map((name, i) => row(name, meter(probabilities[i]), number(probabilities[i], 2)))),
        element('table', {class: 'style'}, ...Array.from(mean, (m, i) => row(`z${i + 1}`, axis(m, Math.sqrt(variance[i])), `${number(m)} ± ${number(Math.sqrt(variance[i]))}`))))];
  },

  // The two terms of the VAE loss of this image.
  terms([model], image) {
    const {probabilities, mean, variance} = model.infer(image), {image_shape: shape, decoder_std: std} = model.config;
    const again = model.decoder(mean, probabilities);
    const error = sum(Array.from(image, (x, i) => (x - again[i]) ** 2)) / (2 * std ** 2);
    const constant = product(shape) * (Math.log(std) + 0.5 * Math.log(2 * Math.PI));
    const kl = -0.5 * sum(Array.from(mean, (m, i) => 1 + Math.log(variance[i]) - m ** 2 - variance[i]));
    return [
      element('div', {class: 'pair'}, picture(shape, image, 'your digit, as the model sees it'), picture(shape, again, 'drawn again from the mean of its posterior')),
      element('p', {class: 'terms'}, `Error of the pixels ${number(error)} nats, price of the style (the KL) ${number(kl)} nats. ` +
        `With the constant ${number(constant)} the VAE loss of your digit is ${number(error + kl + constant)} nats.`)];
  },

  // All digits in the style of this one, by each model.
  digits(models, image) {
    return models.map(model => {
      const {image_shape: shape, class_names: names, num_classes: count} = model.config, {probabilities, style} = model.read(image);
      const label = indexOfLargest(probabilities);
      const drawn = names.map((name, i) => element('div', i === label ? {class: 'chosen'} : {}, picture(shape, model.draw(style, oneHot(i, count)), `${name} in your style`)));
      return element('div', {}, element('p', {}, `${model.name} reads a ${names[label]}:`), element('div', {class: 'digits'}, ...drawn));
    });
  },
};

// <cvae-touch view="posterior | terms | digits" models="FOLDER ...">: a pad, and what the models make of the digit on it.
class CVAETouch extends HTMLElement {
  connectedCallback() {
    if (this.pad) return;
    this.pad = new Pad([28, 28], finished => { if (finished) this.keep(); });
    this.pad.canvas.setAttribute('aria-label', `Draw a digit. ${this.pad.canvas.getAttribute('aria-label')}`);
    this.output = element('div', {'aria-live': 'polite'}, element('p', {}, 'Draw a digit on the black square. The model comes with your first stroke.'));
    const clear = element('button', {type: 'button', onclick: () => this.pad.clear()}, 'Clear');
    this.attachShadow({mode: 'open'}).append(element('style', {}, css),
      element('div', {class: 'columns'}, element('div', {}, this.pad.node, element('p', {}, clear)), this.output));
    addEventListener(stored, () => this.restore()); // drawn on another element of the page
    const seen = new IntersectionObserver(entries => { if (entries.some(o => o.isIntersecting)) { seen.disconnect(); this.restore(); } });
    seen.observe(this);
  }

  // The drawing goes into the browser's storage, for the next element and the next page.
  keep() {
    const empty = this.pad.ink().every(o => o === 0), drawing = empty ? null : this.pad.canvas.toDataURL();
    if (empty) localStorage.removeItem(stored); else localStorage.setItem(stored, drawing);
    this.drawing = drawing;
    dispatchEvent(new Event(stored));
    this.refresh();
  }

  async restore() {
    const drawing = localStorage.getItem(stored);
    if (drawing === (this.drawing ?? null)) return;
    this.drawing = drawing;
    this.pad.wipe();
    if (drawing) {
      const image = new Image();
      image.src = drawing;
      await image.decode();
      this.pad.context.drawImage(image, 0, 0);
    }
    this.refresh();
  }

  async refresh() {
    const image = normalise(this.pad.ink(), [this.pad.height, this.pad.width], [28, 28]);
    if (!image) return this.output.replaceChildren(element('p', {}, 'Draw a digit on the black square.'));
    try {
      this.models ??= Promise.all(this.getAttribute('models').trim().split(/\s+/).map(async folder =>
        Object.assign(await CVAE.fromPretrained(folder), {name: folder.split('/').at(-1)})));
      this.output.replaceChildren(...views[this.getAttribute('view')](await this.models, image));
    } catch (e) {
      this.models = undefined;
      this.output.replaceChildren(element('p', {role: 'alert'}, `The model cannot be shown: ${e.message}.`));
    }
  }
}

// <cvae-grid folder="FOLDER">: models trained with several widths of the decoder's distribution and weights of the digit. The reader
// moves two sliders and sees a few styles drawn as all digits by the model at that point, and what the judge says of it. `grid.json`
// names values and figures; each decoder is fetched when it is asked for.
class CVAEGrid extends HTMLElement {
  connectedCallback() {
    if (this.output) return;
    this.output = element('div', {'aria-live': 'polite'});
    this.controls = element('div');
    this.attachShadow({mode: 'open'}).append(element('style', {}, css), this.controls, this.output);
    const seen = new IntersectionObserver(entries => { if (entries.some(o => o.isIntersecting)) { seen.disconnect(); this.start(); } });
    seen.observe(this);
  }

  async start() {
    this.decoders = {};
    try {
      this.grid = await (await fetch(`${this.getAttribute('folder')}/grid.json`)).json();
      const {decoder_std: stds, digit_weight: weights} = this.grid;
      const slider = (name, values, start) => {
        const shown = element('span', {}, String(values[start]));
        const input = element('input', {type: 'range', min: 0, max: values.length - 1, step: 1, value: start, 'aria-label': name, 'aria-valuetext': values[start],
          oninput: () => { shown.textContent = values[input.value]; input.setAttribute('aria-valuetext', values[input.value]); this.refresh(); }});
        this.controls.append(element('label', {}, name, input, shown));
        return input;
      };
      this.std = slider('decoder\'s standard deviation', stds, stds.indexOf(0.5));
      this.weight = slider('weight of the digit', weights, weights.indexOf(10));
      await this.refresh();
    } catch (e) { this.output.replaceChildren(element('p', {role: 'alert'}, `The models cannot be shown: ${e.message}.`)); }
  }

  async refresh() {
    const {config, styles, decoder_std: stds, digit_weight: weights, models} = this.grid;
    const name = `${stds[this.std.value]}-${weights[this.weight.value]}`, figures = models[name];
    this.wanted = name;
    const decoder = await (this.decoders[name] ??= downloadTensors(`${this.getAttribute('folder')}/${name}.safetensors.gz`).then(o => makeDecoder(new Layers(o, activations[config.activation]), config)));
    if (this.wanted !== name) return; // moved on meanwhile
    const rows = styles.map(style => element('div', {class: 'digits'}, ...config.class_names.map((label, i) =>
      picture(config.image_shape, decoder(style, oneHot(i, config.num_classes)), `${label}`))));
    this.output.replaceChildren(...rows, element('p', {class: 'figures'},
      `Judged to be the digit asked for: ${number(100 * figures.judged_right)} %. Coverage ${number(figures.coverage, 2)}, squared Fréchet distance ${number(figures.frechet, 2)}.`));
  }
}

customElements.define('cvae-touch', CVAETouch);
customElements.define('cvae-grid', CVAEGrid);
