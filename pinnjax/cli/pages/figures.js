"use strict";
// A page's figures are data: each names arrays, and the controls that index them, as "array[control,control]".
const page = JSON.parse(document.getElementById("data").textContent);
const state = {}; // the place of each control
const DASHES = ["none", "7 3", "2 3", "10 3 2 3", "4 4", "1 3"];
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37],
];
const DRAWN = ["svg", "g", "path", "rect", "line", "text", "circle", "clipPath"];

function make(tag, attributes = {}, ...children) {
  const svg = "http://www.w3.org/2000/svg";
  const element = DRAWN.includes(tag) ? document.createElementNS(svg, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** What a reference stands for now; a place beyond the end stands for the last entry. */
function look(reference) {
  if (typeof reference !== "string") return reference;
  const [, name, inner] = reference.match(/^([^[]+)(?:\[(.*)\])?$/);
  let found = page.arrays[name];
  for (const control of inner ? inner.split(",") : []) found = found[Math.min(state[control], found.length - 1)];
  return found;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 0.01 && size < 10000);
  return plain ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

function ticks(low, high, log) {
  const found = [];
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    const every = Math.max(1, Math.ceil((last - first) / 5));
    for (let e = first; e <= last; e += every) found.push(10 ** e);
    return found;
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= 0.999 * rough);
  const near = 1e-9 * step;
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + near; v += step) found.push(Math.abs(v) < near ? 0 : v);
  return found;
}

function tickText(value, log) {
  const power = Math.round(Math.log10(value));
  if (!log || Math.abs(power) < 2) return shown(value);
  return "10" + String(power).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");
}

/** From the least to the largest of some arrays, with a margin. */
function extent(arrays, log) {
  const seen = arrays.flat().filter((v) => v !== null && (!log || v > 0));
  if (!seen.length) return log ? [0.1, 1] : [0, 1];
  let low = seen.reduce((a, b) => Math.min(a, b));
  let high = seen.reduce((a, b) => Math.max(a, b));
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
  return log ? [low * 0.8, high * 1.25] : [low - 0.04 * (high - low), high + 0.04 * (high - low)];
}

function scale(range, log, from, to) {
  const f = log ? Math.log10 : (v) => v;
  const [low, high] = range.map(f);
  return (v) => from + ((f(log ? Math.max(v, 1e-9 * range[0]) : v) - low) / (high - low)) * (to - from);
}

/** Axes in a holder: their scales, their box, and the group to draw in, which is clipped to it. */
function axes(holder, figure, xs, ys, width, height) {
  const box = { left: 46, right: width - 8, top: 6, bottom: height - 34 };
  const x = scale(xs, figure.logx, box.left, box.right);
  const y = scale(ys, figure.logy, box.bottom, box.top);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": figure.title });
  const size = { width: box.right - box.left, height: box.bottom - box.top };
  const bare = figure.kind === "heat"; // lines of a grid would hide it
  svg.append(make("clipPath", { id: `clip-${figure.id}` }, make("rect", { x: box.left, y: box.top, ...size })));
  for (const v of ticks(...xs, figure.logx)) {
    const line = { x1: x(v), x2: x(v), y1: bare ? box.bottom : box.top, y2: box.bottom + 3, class: "frame" };
    const text = { x: x(v), y: box.bottom + 15, "text-anchor": "middle" };
    svg.append(make("line", line), make("text", text, tickText(v, figure.logx)));
  }
  for (const v of ticks(...ys, figure.logy)) {
    const line = { x1: box.left - 3, x2: bare ? box.left : box.right, y1: y(v), y2: y(v), class: "frame" };
    const text = { x: box.left - 6, y: y(v) + 4, "text-anchor": "end" };
    svg.append(make("line", line), make("text", text, tickText(v, figure.logy)));
  }
  const below = { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" };
  const beside = { x: -(box.top + box.bottom) / 2, y: 11, transform: "rotate(-90)", "text-anchor": "middle" };
  svg.append(make("text", below, figure.x || ""), make("text", beside, figure.y || ""));
  const inside = make("g", { "clip-path": `url(#clip-${figure.id})` });
  svg.append(inside);
  holder.append(svg);
  return { x, y, box, inside };
}

/** A line through the values that there are. */
function path(xs, ys, x, y, log) {
  let text = "";
  let on = false;
  xs.forEach((v, i) => {
    const seen = ys[i] !== null && ys[i] !== undefined && (!log || ys[i] > 0);
    if (seen) text += `${on ? "L" : "M"}${x(v).toFixed(1)},${y(ys[i]).toFixed(1)}`;
    on = seen;
  });
  return text;
}

/** The area between two lines, where both have values. */
function band({ xs, low, high }, x, y, log) {
  const seen = xs.map((_, i) => i).filter((i) => low[i] !== null && high[i] !== null && (!log || high[i] > 0));
  if (!seen.length) return "";
  const at = (ys) => (i) => `${x(xs[i]).toFixed(1)},${y(ys[i]).toFixed(1)}`;
  return `M${[...seen.map(at(high)), ...seen.map(at(low)).reverse()].join("L")}Z`;
}

function swatch(text, mark) {
  return make("span", {}, make("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" }, mark), text);
}

function lines(holder, figure, width) {
  const all = figure.lines.map((line, i) => {
    const colour = line.colour === "ink" ? "var(--soft)" : `var(--c${line.colour ?? i})`;
    const dash = DASHES[line.dash ?? i];
    const style = `fill: none; stroke: ${colour}; stroke-width: ${line.thin ? 1 : 2}; stroke-dasharray: ${dash}`;
    const [xs, ys, low, high] = [line.x, line.y, line.low, line.high].map(look);
    return { ...line, colour, style, xs, ys, low, high };
  });
  const cursor = page.controls.find((control) => control.name === figure.cursor);
  const now = cursor ? cursor.values[state[cursor.name]] : null;
  const mark = figure.mark ? look(figure.mark) : now;
  const xs = figure.xrange || extent(all.map((line) => line.xs), figure.logx);
  const ys = figure.range || extent(all.flatMap((line) => [line.ys, line.low || [], line.high || []]), figure.logy);
  const { x, y, box, inside } = axes(holder, figure, xs, ys, width, Math.max(200, 0.58 * width));
  const key = make("div", { class: "legend" });
  for (const shade of figure.shades || []) {
    const [from, to] = [look(shade.from), look(shade.to)];
    const style = `fill: var(--c${shade.colour}); opacity: 0.2`;
    key.append(swatch(shade.label, make("rect", { width: 26, height: 10, style })));
    if (from === null || to === null) continue;
    const place = { x: x(from), y: box.top, width: Math.max(0, x(to) - x(from)), height: box.bottom - box.top };
    inside.append(make("rect", { ...place, style }));
  }
  for (const line of all) {
    const area = `fill: ${line.colour}; opacity: 0.16`;
    if (line.low) inside.append(make("path", { d: band(line, x, y, figure.logy), style: area }));
    const whole = make("path", { d: path(line.xs, line.ys, x, y, figure.logy), style: line.style });
    inside.append(whole);
    const count = now === null ? 0 : line.xs.filter((v) => v <= now).length;
    if (now !== null) {
      whole.setAttribute("class", "faint"); // what is to come
      inside.append(make("path", { d: path(line.xs.slice(0, count), line.ys, x, y, figure.logy), style: line.style }));
    }
    const value = count ? ` ${shown(line.ys[count - 1])}` : "";
    key.append(swatch(line.label + value, make("path", { d: "M0,5H26", style: line.style })));
  }
  if (mark !== null && mark !== undefined) {
    const style = "stroke: var(--ink); stroke-width: 1";
    inside.append(make("line", { x1: x(mark), x2: x(mark), y1: box.top, y2: box.bottom, style }));
  }
  holder.append(key);
}

function bars(holder, figure, width) {
  const [at, heights] = [look(figure.at), look(figure.heights)];
  const step = (at[at.length - 1] - at[0]) / Math.max(1, at.length - 1);
  const xs = [at[0] - step, at[at.length - 1] + step];
  const ys = figure.range || [0, extent([heights], false)[1]];
  const { x, y, inside } = axes(holder, figure, xs, ys, width, Math.max(200, 0.58 * width));
  const ground = y(Math.max(0, ys[0]));
  at.forEach((v, i) => {
    const [left, right, top] = [x(v - 0.4 * step), x(v + 0.4 * step), y(heights[i])];
    const place = { x: left, width: right - left, y: Math.min(top, ground), height: Math.abs(ground - top) };
    inside.append(make("rect", { ...place, style: `fill: var(--c${figure.colour ?? 0})` }));
  });
}

/** A colour of viridis for a share in [0, 1]. */
function colour(share) {
  const place = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const k = Math.min(VIRIDIS.length - 2, Math.floor(place));
  return [0, 1, 2].map((i) => VIRIDIS[k][i] + (place - k) * (VIRIDIS[k + 1][i] - VIRIDIS[k][i]));
}

function heat(holder, figure, width) {
  const rows = look(figure.rows);
  const range = look(figure.range);
  const height = Math.max(200, 0.62 * width);
  const f = figure.log ? (v) => Math.log10(Math.max(v, 1e-30)) : (v) => v;
  const [low, high] = range.map(f);
  const canvas = make("canvas", { width: rows[0].length, height: rows.length, "aria-hidden": "true" });
  const plate = make("div", { class: "plate" }, canvas);
  holder.append(plate);
  const { x, y, box, inside } = axes(plate, figure, look(figure.xrange), look(figure.yrange), width, height);
  canvas.style.left = `${(100 * box.left) / width}%`;
  canvas.style.top = `${(100 * box.top) / height}%`;
  canvas.style.width = `${(100 * (box.right - box.left)) / width}%`;
  canvas.style.height = `${(100 * (box.bottom - box.top)) / height}%`;
  const context = canvas.getContext("2d");
  const image = context.createImageData(rows[0].length, rows.length);
  [...rows].reverse().flat().forEach((v, i) => {
    image.data.set(v === null ? [0, 0, 0, 0] : [...colour((f(v) - low) / (high - low)), 255], 4 * i);
  });
  context.putImageData(image, 0, 0);
  for (const trail of figure.trails || []) {
    const [xs, ys, now] = [look(trail.x), look(trail.y), state[trail.cursor]];
    const line = { d: path(xs, ys, x, y, false), style: "fill: none; stroke: #fff; stroke-width: 1.5" };
    const dot = { cx: x(xs[now]), cy: y(ys[now]), r: 5, style: "fill: #fff; stroke: #000" };
    inside.append(make("path", line), make("circle", dot));
  }
  const stops = VIRIDIS.map((c) => `rgb(${c})`).join(", ");
  const strip = make("span", { class: "strip", style: `background: linear-gradient(90deg, ${stops})` });
  const key = make("span", {}, shown(range[0]), strip, shown(range[1]), ` ${figure.label || ""}`);
  holder.append(make("div", { class: "legend" }, key));
}

function table(holder, figure) {
  const found = make("table", { "aria-live": "polite" });
  const row = (cells) => found.append(make("tr", {}, ...cells));
  if (figure.columns) row(figure.columns.map((name) => make("th", { scope: "col" }, name)));
  for (const [label, ...cells] of figure.table) {
    row([make("th", { scope: "row" }, label), ...cells.map((cell) => make("td", {}, shown(look(cell))))]);
  }
  holder.append(make("div", { class: "wide" }, found));
}

const DRAW = { lines, bars, heat, table };

function draw() {
  for (const figure of page.figures) {
    const holder = document.getElementById(figure.id);
    const here = make("div");
    DRAW[figure.kind](here, figure, Math.max(230, holder.clientWidth));
    holder.replaceChildren(make("figcaption", {}, figure.title), here);
  }
}
