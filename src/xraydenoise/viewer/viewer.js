"use strict";
const $ = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const data = JSON.parse($("data").textContent);
const planes = new Map(); // of pictures: {width, height, grays}
const SCREEN = 255; // what is shown at most
const MOST = 32; // screen px that a picture's px is enlarged to at most
const state = { residual: false, windows: null, split: 0.5, zoom: 1, x: 0, y: 0, turn: 0 };
const sides = { left: document.createElement("canvas"), right: document.createElement("canvas") };
const stage = $("stage");
let loaded = null; // {left, right, truth} planes of what is chosen

function fill(select, entries, wanted) {
  select.replaceChildren(...entries.map(([value, name]) => new Option(name, value)));
  select.parentElement.hidden = entries.every(([, name]) => !name);
  if (entries.some(([value]) => String(value) === wanted)) select.value = wanted;
}

const distinct = (values) => [...new Set(values)].map((value) => [value, value]);
const layer = (side) => chosenCase().layers.find((one) => one.name === $(side).value);
const chosenCase = () => data.cases[Number($("case").value)];
const truth = () => (data.truth ? chosenCase().layers.at(-1) : null); // what residuals are differences to; without one, to each other

// The first windows, in fractions of full scale: of pictures and of residuals
function windows() {
  const { width, level } = chosenCase().window;
  return { false: { width, level }, true: { width: Math.max(0.2 * width, Number($("window").min)), level: 0 } };
}

function pick(from) {
  if (from === "track") {
    const conditions = data.cases.filter((one) => one.track === $("track").value).map((one) => one.condition);
    fill($("condition"), distinct(conditions), $("condition").value);
  }
  if (from === "track" || from === "condition") {
    const kind = $("case").selectedOptions[0]?.dataset.kind;
    const same = data.cases.map((one, place) => [place, one]).filter(([, one]) => one.track === $("track").value && one.condition === $("condition").value);
    fill($("case"), same.map(([place, one]) => [place, [one.kind, one.image].filter(Boolean).join(": ")]), "");
    for (const option of $("case").options) option.dataset.kind = data.cases[option.value].kind;
    const alike = [...$("case").options].find((option) => option.dataset.kind === kind);
    if (alike) alike.selected = true;
  }
  if (from !== "layer") {
    const { layers, track } = chosenCase();
    const names = layers.map((one) => one.name);
    const own = JSON.stringify(chosenCase().window);
    if (state.own !== own) state.windows = windows(); // another picture's would hide this one
    state.own = own;
    const best = names.includes(data.chosen[track]) ? data.chosen[track] : names.at(-2);
    fill($("left"), distinct(names), names.includes($("left").value) ? $("left").value : names[0]);
    fill($("right"), distinct(names), names.includes($("right").value) ? $("right").value : best);
  }
  load();
}

// A picture's grays; more than 8 bits of them come as red, the upper byte, and green, the lower
async function plane(number) {
  if (!planes.has(number)) {
    const image = new Image();
    image.src = data.pictures[number];
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height).data;
    const deep = chosenCase().full > SCREEN;
    const grays = new (deep ? Uint16Array : Uint8Array)(image.width * image.height);
    for (let place = 0; place < grays.length; place++) grays[place] = deep ? pixels[4 * place] * 256 + pixels[4 * place + 1] : pixels[4 * place];
    planes.set(number, { width: image.width, height: image.height, grays });
  }
  return planes.get(number);
}

async function load() {
  const turn = ++state.turn;
  const asked = [layer("left"), layer("right"), truth() ?? layer("right")];
  const [left, right, last] = await Promise.all(asked.map((one) => plane(one.picture)));
  if (turn !== state.turn) return; // something else was chosen meanwhile
  loaded = { left, right, truth: last };
  develop();
}

// The gray shown for each stored one, or for each difference of two, from -full to full
function table(full) {
  const { width, level } = state.windows[state.residual];
  const lowest = state.residual ? -full : 0;
  return Uint8Array.from({ length: full - lowest + 1 }, (_, place) => {
    return Math.floor(SCREEN * clamp(((place + lowest) / full - level) / width + 0.5, 0, 1) + 0.5);
  });
}

function develop() {
  if (!loaded) return;
  const { full } = chosenCase();
  const grays = table(full);
  for (const [side, canvas] of Object.entries(sides)) {
    const { width, height, grays: pixels } = loaded[state.residual && !data.truth ? "left" : side];
    const target = loaded.truth.grays;
    [canvas.width, canvas.height] = [width, height];
    const image = new ImageData(width, height);
    const shown = new Uint32Array(image.data.buffer);
    for (let place = 0; place < pixels.length; place++) {
      shown[place] = 0xff000000 + grays[state.residual ? pixels[place] - target[place] + full : pixels[place]] * 0x010101;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  tell();
  draw();
}

const fitting = () => Math.min(stage.clientWidth / loaded.left.width, stage.clientHeight / loaded.left.height);

function draw() {
  if (!loaded || !stage.clientWidth) return;
  const { width, height } = loaded.left;
  const scale = fitting() * state.zoom;
  const reach = { x: Math.max(0, (width * scale - stage.clientWidth) / 2), y: Math.max(0, (height * scale - stage.clientHeight) / 2) };
  for (const axis of ["x", "y"]) state[axis] = clamp(state[axis], -reach[axis], reach[axis]);
  const canvas = $("canvas");
  const dense = devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.round(stage.clientWidth * dense), Math.round(stage.clientHeight * dense)];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale * dense < 1; // enlarged, a pixel stays a square
  context.imageSmoothingQuality = "high";
  const border = Math.round(state.split * canvas.width);
  const left = Math.round((stage.clientWidth / 2 + state.x - (width * scale) / 2) * dense);
  const top = Math.round((stage.clientHeight / 2 + state.y - (height * scale) / 2) * dense);
  for (const [side, from, to] of [["left", 0, border], ["right", border, canvas.width]]) {
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, canvas.height);
    context.clip();
    context.drawImage(sides[side], left, top, Math.round(width * scale * dense), Math.round(height * scale * dense));
    context.restore();
  }
  stage.classList.toggle("zoomed", state.zoom > 1);
  const percent = Math.round(state.split * 100);
  const divider = $("divider");
  divider.style.left = `${100 * state.split}%`;
  divider.ariaValueNow = percent;
  divider.ariaValueText = `${percent} % ${$("left").value}`;
  $("scale").textContent = `zoom ${scale.toFixed(2)}`;
}

function tell() {
  const shown = chosenCase();
  const target = (truth() ?? layer("right")).name;
  for (const side of ["left", "right"]) {
    const { name, psnr } = layer(state.residual && !data.truth ? "left" : side);
    $(`${side}-name`).textContent = [state.residual ? `${name} \u2212 ${target}` : name, psnr].filter(Boolean).join("  ");
  }
  const { width: across, height: down } = loaded.left;
  const cut = across < shown.width || down < shown.height ? `middle ${across} x ${down} px` : "";
  const patient = shown.patient && `patient ${shown.patient}`;
  $("about").textContent = [shown.image, patient, `${shown.width} x ${shown.height} px`, cut, shown.note].filter(Boolean).join(", ");
  $("canvas").ariaLabel = `${$("left-name").textContent}, left; ${$("right-name").textContent}, right`;
  const { width, level } = state.windows[state.residual];
  $("window").value = width;
  $("level").value = level;
  $("level").disabled = state.residual; // gray is no difference, always
  $("window-value").textContent = state.residual ? `\u00b1${(width / 2).toFixed(2)}` : width.toFixed(2);
  $("level-value").textContent = state.residual ? "0" : level.toFixed(2);
}

function zoom(factor, x = 0, y = 0) { // about (x, y), CSS px from the stage's centre
  const next = clamp(state.zoom * factor, 1, Math.max(1, MOST / fitting()));
  state.x = x - ((x - state.x) * next) / state.zoom;
  state.y = y - ((y - state.y) * next) / state.zoom;
  state.zoom = next;
  draw();
}

function move(x, y) {
  state.x += x;
  state.y += y;
  draw();
}

function part(split) {
  state.split = clamp(split, 0, 1);
  draw();
}

function expose(width, level) {
  const { min, max } = $("window");
  state.windows[state.residual] = { width: clamp(width, Number(min), Number(max)), level: state.residual ? 0 : clamp(level, 0, 1) };
  develop();
}

function fit() {
  Object.assign(state, { zoom: 1, x: 0, y: 0 });
  draw();
}

const MOVES = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }; // of the picture under the stage
const PARTS = { ArrowLeft: -0.01, ArrowDown: -0.01, ArrowRight: 0.01, ArrowUp: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };

stage.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { key } = event;
  if (key === "+" || key === "=") zoom(1.25);
  else if (key === "-") zoom(0.8);
  else if (key === "0") fit();
  else if (event.target === $("divider") && key in PARTS) part(state.split + PARTS[key] * (event.shiftKey ? 10 : 1));
  else if (event.target === stage && key in MOVES) move(...MOVES[key].map((step) => 40 * step));
  else return;
  event.preventDefault();
});

stage.addEventListener("wheel", (event) => {
  if (!stage.contains(document.activeElement) && !event.ctrlKey) return; // the page scrolls past
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(Math.exp(-event.deltaY / 400), event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
}, { passive: false });

stage.addEventListener("contextmenu", (event) => event.preventDefault());
stage.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 && event.button !== 2) return;
  state.drag = event.target === $("divider") ? "part" : event.button === 2 ? "expose" : "move";
  state.last = event;
  stage.setPointerCapture(event.pointerId);
});
stage.addEventListener("pointermove", (event) => {
  if (!stage.hasPointerCapture(event.pointerId)) return;
  const box = stage.getBoundingClientRect();
  const [across, down] = [event.clientX - state.last.clientX, event.clientY - state.last.clientY];
  const { width, level } = state.windows[state.residual];
  state.last = event;
  if (state.drag === "part") part((event.clientX - box.left) / box.width);
  else if (state.drag === "move") move(across, down);
  else expose(width + across / box.width, level + down / box.height);
});

$("in").addEventListener("click", () => zoom(1.25));
$("out").addEventListener("click", () => zoom(0.8));
$("fit").addEventListener("click", fit);
$("window").addEventListener("input", () => expose(Number($("window").value), state.windows[state.residual].level));
$("level").addEventListener("input", () => expose(state.windows[state.residual].width, Number($("level").value)));
$("reset").addEventListener("click", () => {
  const { width, level } = windows()[state.residual];
  expose(width, level);
});
$("residual").addEventListener("change", (event) => {
  state.residual = event.target.checked;
  develop();
});
for (const name of ["track", "condition", "case"]) $(name).addEventListener("change", () => pick(name));
for (const name of ["left", "right"]) $(name).addEventListener("change", () => pick("layer"));

if (data.cases.length) {
  fill($("track"), distinct(data.cases.map((one) => one.track)), "");
  pick("track");
  new ResizeObserver(draw).observe(stage);
}
