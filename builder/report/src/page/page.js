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
  while (bytes >= 999.5 && unit + 1 < units.length) { bytes /= 1000; unit++; }
  return Number(bytes.toFixed(!unit || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2)) + units[unit];
}

function table({ title, rows: [names, ...rows] }) {
  const isText = names.map((_, at) => at > 0 && rows.some(row => /^[^-~\d]/.test(row[at] || '-')));
  const cell = (tag, attributes) => (text, at) => make(tag, isText[at] ? { ...attributes, class: 'text' } : attributes, text.trim());
  const row = ([first, ...values]) => make('tr', first.startsWith(' ') ? { class: 'part' } : {},
    make('th', { scope: 'row' }, first.trim()), ...values.map((value, at) => cell('td', {})(value, at + 1)));
  const head = make('thead', {}, make('tr', {}, ...names.map(cell('th', { scope: 'col' }))));
  const body = make('table', {}, head, make('tbody', {}, ...rows.map(row)));
  return section(title, make('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': title }, body));
}

function section(title, ...children) {
  return make('section', {}, make('h2', {}, title), ...children);
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

function put(element, { x, y, width, height }, all, whole) {
  element.style.left = x / all * 100 + '%'; element.style.top = y / whole * 100 + '%';
  element.style.width = width / all * 100 + '%'; element.style.height = height / whole * 100 + '%';
}

// What is in a folder, below its name; only to be seen.
function inside(folder, width, height) {
  const box = make('div', { class: 'inside', 'aria-hidden': 'true' });
  for (const place of layout(folder.children, 0, 0, width, height)) {
    const part = make('i', {}, place.item.name);
    put(part, place, width, height);
    box.append(part);
  }
  return box;
}

function treemap(tree) {
  const map = make('div', { class: 'map', role: 'group', 'aria-label': 'Files by size' });
  const trail = make('nav', { 'aria-label': 'Folder' });
  let path = [tree];
  // Tab goes to the map and on; arrows go from one rectangle to the next.
  const choose = chosen => { for (const child of map.children) child.tabIndex = child === chosen ? 0 : -1; };
  const show = focus => {
    const here = path[path.length - 1];
    trail.replaceChildren(...path.map((folder, at) => {
      const last = at + 1 === path.length;
      const button = make('button', last ? { 'aria-current': 'location', type: 'button' } : { type: 'button' }, (folder.name || '/') + ' ' + size(folder.bytes));
      button.onclick = () => { path = path.slice(0, at + 1); show(true); };
      return button;
    }));
    map.replaceChildren(...layout(here.children || [], 0, 0, WIDTH, HEIGHT).map(place => {
      const { item } = place;
      const text = item.name + ' ' + size(item.bytes);
      const button = make('button', { type: 'button', title: text, 'aria-label': text }, make('span', {}, text));
      put(button, place, WIDTH, HEIGHT);
      if (item.children && item.children.length) {
        button.dataset.folder = item.name;
        button.append(inside(item, place.width, place.height));
        button.onclick = () => { path.push(item); show(true); };
      }
      return button;
    }));
    choose(map.firstChild);
    if (focus && map.firstChild) map.firstChild.focus();
  };
  map.addEventListener('focusin', event => choose(event.target));
  map.onkeydown = event => {
    const count = map.children.length, at = [...map.children].indexOf(document.activeElement);
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: count - 1 }[event.key];
    if (next !== undefined && at >= 0) map.children[(next + count) % count].focus();
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

function code(lines) {
  const heavy = Math.max(1, ...lines.map(line => line.bytes)) / 4;
  const rows = lines.map(({ line, text, bytes }, at) => {
    const classes = [bytes >= heavy && 'heavy', at && lines[at - 1].line + 1 < line && 'gap'].filter(Boolean).join(' ');
    return make('tr', classes ? { class: classes } : {}, make('td', {}, line), make('td', {}, bytes ? size(bytes) : ''), make('td', {}, text));
  });
  return make('div', { class: 'code', tabindex: 0, role: 'region', 'aria-label': 'Dockerfile' }, make('table', {}, make('tbody', {}, ...rows)));
}

function article(image) {
  const parts = [make('h2', {}, image.name)];
  if (image.tree) parts.push(make('h3', {}, 'Files'), ...treemap(image.tree));
  parts.push(make('h3', {}, 'Layers'), bars(image), legend());
  if (image.code.length) parts.push(make('h3', {}, 'Dockerfile'), code(image.code));
  return make('article', {}, ...parts);
}

document.title = data.title;
document.getElementById('title').textContent = data.title;
document.getElementById('beyond').textContent = data.alerts.join('\n');
document.getElementById('figures').append(...data.tables.map(table));
if (data.causes.length) {
  document.getElementById('figures').append(section('Largest causes', make('ol', {}, ...data.causes.map(cause => make('li', {}, cause)))));
}
document.getElementById('variants').append(...data.articles.map(article));
document.documentElement.dataset.drawn = 'yes';
