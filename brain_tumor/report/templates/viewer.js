"use strict";
// Steps through the slices of one picture. Red holds the slice, green the probability of tumour, blue a second layer.

const MASK = [255, 194, 10];
const LAYER = [64, 156, 255];

class Viewer {
  constructor(section) {
    this.section = section;
    this.facts = section.dataset;
    this.width = Number(this.facts.width);
    this.height = Number(this.facts.height);
    this.columns = Number(this.facts.columns);
    this.numbers = this.facts.numbers.split(",");
    this.canvas = section.querySelector(".stage canvas");
    this.place = Number(this.facts.first);
    this.picture = new Image();
    this.picture.addEventListener("load", () => this.begin());
    this.picture.addEventListener("error", () => this.say("The slices cannot be loaded; the answer may be forgotten."));
    this.picture.src = this.facts.source;
  }

  part(role) {
    return this.section.querySelector(`[data-role="${role}"]`);
  }

  begin() {
    const whole = document.createElement("canvas");
    whole.width = this.picture.width;
    whole.height = this.picture.height;
    this.whole = whole.getContext("2d", { willReadFrequently: true });
    this.whole.drawImage(this.picture, 0, 0);
    this.called = this.numbers.map((_, place) => this.share(place, 1, Number(this.facts.threshold) * 255) > 0);
    this.layered = this.numbers.map((_, place) => this.share(place, 2, 127) > 0);
    this.part("brightness").value = 100 * this.gain();
    for (const role of ["slice", "brightness", "mask", "map"]) {
      const input = this.part(role);
      if (input) input.addEventListener("input", () => this.draw());
    }
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.canvas.addEventListener("wheel", (event) => this.roll(event), { passive: false });
    this.drawBar();
    this.draw();
  }

  pixels(place) {
    const left = (place % this.columns) * this.width;
    const top = Math.floor(place / this.columns) * this.height;
    return this.whole.getImageData(left, top, this.width, this.height);
  }

  // By how much the foremost slice must be brightened, so that all but its brightest pixels use the range of the screen.
  gain() {
    const { data } = this.pixels(this.place);
    const counts = new Array(256).fill(0);
    for (let i = 0; i < data.length; i += 4) counts[data[i]] += 1;
    let [level, above] = [255, counts[255]];
    while (level > 0 && above < data.length / 800) {
      level -= 1;
      above += counts[level];
    }
    return Math.min(4, Math.max(1, 235 / Math.max(level, 1)));
  }

  // How many pixels of a slice have more than a limit in a channel.
  share(place, channel, limit) {
    const { data } = this.pixels(place);
    let count = 0;
    for (let i = channel; i < data.length; i += 4) if (data[i] > limit) count += 1;
    return count;
  }

  opacity(role) {
    const input = this.part(role);
    return input ? Number(input.value) / 100 : 0;
  }

  draw() {
    const slider = this.part("slice");
    this.place = slider ? Number(slider.value) : 0;
    const tile = this.pixels(this.place);
    const { data } = tile;
    const threshold = Number(this.facts.threshold) * 255;
    const mask = this.opacity("mask");
    const layer = this.opacity("map");
    const gain = this.opacity("brightness");
    let highest = 0;
    let count = 0;
    for (let i = 0; i < data.length; i += 4) {
      const [grey, probability, second] = [Math.min(255, gain * data[i]), data[i + 1], data[i + 2]];
      highest = Math.max(highest, probability);
      const inside = probability > threshold;
      if (inside) count += 1;
      const over = (layer * second) / 255;
      for (let channel = 0; channel < 3; channel += 1) {
        let value = inside ? grey + (MASK[channel] - grey) * mask : grey;
        value += (LAYER[channel] - value) * over;
        data[i + channel] = value;
      }
    }
    this.canvas.getContext("2d").putImageData(tile, 0, 0);
    const number = this.numbers[this.place];
    const words = count ? `called tumour, highest probability ${(highest / 255).toFixed(2)}` : `no tumour called, highest probability ${(highest / 255).toFixed(2)}`;
    this.canvas.setAttribute("aria-label", `Slice ${number}: ${words}`);
    if (this.part("number")) this.part("number").textContent = `${number} (${this.place + 1} of ${this.numbers.length})`;
    if (slider) slider.setAttribute("aria-valuetext", `slice ${number}`);
    this.say(`Slice ${number}: ${words}.`);
  }

  drawBar() {
    const bar = this.part("bar");
    if (!bar) return;
    const pen = bar.getContext("2d");
    const step = bar.width / this.numbers.length;
    const lines = [[this.called, MASK], [this.layered, LAYER]].slice(0, "bars" in this.facts ? 2 : 1);
    lines.forEach(([marks, colour], line) => {
      pen.fillStyle = `rgb(${colour.join(",")})`;
      const height = bar.height / lines.length;
      marks.forEach((mark, place) => { if (mark) pen.fillRect(place * step, line * height, Math.max(step, 1), height - 1); });
    });
  }

  step(places) {
    const slider = this.part("slice");
    if (!slider) return;
    slider.value = Math.min(this.numbers.length - 1, Math.max(0, this.place + places));
    this.draw();
  }

  press(event) {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6 };
    if (event.key in steps) {
      event.preventDefault();
      this.step(steps[event.key]);
    }
  }

  roll(event) {
    if (this.numbers.length > 1 && event.deltaY) {
      event.preventDefault();
      this.step(Math.sign(event.deltaY));
    }
  }

  say(words) {
    const place = this.part("reading");
    if (place) place.textContent = words;
  }
}

for (const section of document.querySelectorAll("[data-viewer]")) new Viewer(section);
