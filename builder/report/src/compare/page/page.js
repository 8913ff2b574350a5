'use strict';
// Texts from outside only become text nodes: nothing in them is read as HTML.
const data = JSON.parse(document.getElementById('data').textContent);
const CLASSES = ['live', 'duplicate', 'overwritten', 'rewritten', 'deleted', 'headers'];

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (bytes >= 1000 && unit + 1 < units.length) { bytes /= 1000; unit++; }
  return (unit ? bytes.toFixed(1) : bytes) + ' ' + units[unit];
}

function figures() {
  const table = document.getElementById('figures');
  const [names, ...rows] = data.table;
  table.append(make('thead', {}, make('tr', {}, ...names.map(name => make('th', { scope: 'col' }, name)))));
  const cells = ([title, ...values]) => make('tr', {}, make('th', { scope: 'row' }, title), ...values.map(value => make('td', {}, value)));
  table.append(make('tbody', {}, ...rows.map(cells)));
}

// Squarified: rows of rectangles that are as near to squares as they can be.
function layout(items, x, y, width, height) {
  const placed = [];
  let rest = items.filter(item => item.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  let total = rest.reduce((sum, item) => sum + item.bytes, 0);
  while (rest.length) {
    const side = Math.min(width, height), area = width * height / total;
    const worst = (sum, count) => {
      const length = sum * area / side;
      const ratio = item => { const other = item.bytes * area / length; return Math.max(length / other, other / length); };
      return Math.max(ratio(rest[0]), ratio(rest[count - 1]));
    };
    let count = 1, sum = rest[0].bytes;
    while (count < rest.length && worst(sum + rest[count].bytes, count + 1) <= worst(sum, count)) sum += rest[count++].bytes;
    const length = sum * area / side;
    let offset = 0;
    for (const item of rest.slice(0, count)) {
      const other = item.bytes * area / length;
      placed.push(width <= height
        ? { item, x: x + offset, y, width: other, height: length }
        : { item, x, y: y + offset, width: length, height: other });
      offset += other;
    }
    if (width <= height) { y += length; height -= length; } else { x += length; width -= length; }
    rest = rest.slice(count);
    total -= sum;
  }
  return placed;
}

const WIDTH = 1000, HEIGHT = 600;

function treemap(tree) {
  const map = make('div', { class: 'map', role: 'group', 'aria-label': 'Files by size' });
  const trail = make('nav', { 'aria-label': 'Folder' });
  let path = [tree];
  const show = focus => {
    const here = path[path.length - 1];
    trail.replaceChildren(...path.map((folder, at) => {
      const last = at + 1 === path.length;
      const button = make('button', last ? { 'aria-current': 'location', type: 'button' } : { type: 'button' }, (folder.name || '/') + ' ' + size(folder.bytes));
      button.onclick = () => { path = path.slice(0, at + 1); show(true); };
      return button;
    }));
    map.replaceChildren(...layout(here.children || [], 0, 0, WIDTH, HEIGHT).map(({ item, x, y, width, height }) => {
      const text = item.name + ' ' + size(item.bytes);
      const button = make('button', { type: 'button', title: text, 'aria-label': text }, text);
      button.style.left = x / WIDTH * 100 + '%'; button.style.top = y / HEIGHT * 100 + '%';
      button.style.width = width / WIDTH * 100 + '%'; button.style.height = height / HEIGHT * 100 + '%';
      if (item.children && item.children.length) {
        button.dataset.folder = item.name;
        button.onclick = () => { path.push(item); show(true); };
      }
      return button;
    }));
    if (focus && map.firstChild) map.firstChild.focus();
  };
  map.onkeydown = event => {
    const at = [...map.children].indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) map.children[(at + step + map.children.length) % map.children.length].focus();
    else if ((event.key === 'Backspace' || event.key === 'Escape') && path.length > 1) { path.pop(); show(true); }
    else return;
    event.preventDefault();
  };
  show(false);
  return [trail, map];
}

function bars(variant) {
  const sum = step => Object.values(step.classes).reduce((all, bytes) => all + bytes, 0);
  const largest = Math.max(1, ...variant.steps.map(sum));
  const row = step => {
    const bar = make('div', { class: 'bar' });
    for (const name of CLASSES) {
      const bytes = step.classes[name];
      if (!bytes) continue;
      const part = make('span', { class: name, title: name + ' ' + size(bytes) });
      part.style.width = bytes / largest * 100 + '%';
      bar.append(part);
    }
    const title = (step.of_base ? 'base: ' : step.line ? step.line + ': ' : '') + step.text;
    return make('tr', {}, make('td', { title }, title), make('td', {}, bar), make('td', {}, size(sum(step))));
  };
  return make('table', { class: 'bars' }, make('tbody', {}, ...variant.steps.map(row)));
}

function legend() {
  const entry = name => make('span', {}, make('i', { class: name }), name);
  return make('p', { class: 'legend' }, ...CLASSES.map(entry));
}

function code(variant) {
  const own = new Map();
  for (const step of variant.steps) {
    if (step.of_base || !step.line) continue;
    own.set(step.line, Object.values(step.classes).reduce((all, bytes) => all + bytes, own.get(step.line) || 0));
  }
  const heavy = Math.max(1, ...own.values()) / 4;
  const lines = variant.dockerfile.replace(/\n$/, '').split('\n').map((text, at) => {
    const bytes = own.get(at + 1);
    const attributes = bytes >= heavy ? { class: 'heavy' } : {};
    return make('tr', attributes, make('td', {}, at + 1), make('td', {}, bytes ? size(bytes) : ''), make('td', {}, text));
  });
  return make('div', { class: 'code', tabindex: 0, 'aria-label': 'Dockerfile' }, make('table', {}, make('tbody', {}, ...lines)));
}

function article(variant) {
  const parts = [make('h2', {}, variant.name)];
  if (variant.tree) parts.push(make('h3', {}, 'Files'), ...treemap(variant.tree));
  parts.push(make('h3', {}, 'Layers'), bars(variant), legend());
  if (variant.dockerfile) parts.push(make('h3', {}, 'Dockerfile'), code(variant));
  return make('article', {}, ...parts);
}

figures();
document.getElementById('beyond').textContent = data.beyond.join('\n');
document.getElementById('causes').append(...data.causes.map(cause => make('li', {}, cause)));
document.getElementById('variants').append(...data.variants.map(article));
document.documentElement.dataset.drawn = 'yes';
