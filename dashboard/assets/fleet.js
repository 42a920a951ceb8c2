// The servers as rows of slots: an ARIA grid with one tab stop.
import { $, el, text, age, legible, taskPath } from './dom.js';
import { Row, layout, readLook, setLit } from './paint.js';

const rows = new Map(); // by ID of the server
const lively = 24;      // changes at a time that are animated

function newRow(id) {
  const r = { id, cells: [], state: '', paint: new Row() };
  r.name = el('span', { class: 'name' }, legible(id));
  r.badge = el('span', { class: 'badge' });
  r.info = el('span', { class: 'info' });
  r.head = el('div', { role: 'rowheader', class: 'server-head' }, el('span', { class: 'line' }, r.name, r.badge), r.info);
  r.slots = el('div', { role: 'presentation', class: 'slots' }, r.paint.canvas);
  r.button = el('button', { type: 'button', class: 'quiet', tabindex: '-1', 'data-id': id, 'data-server': id });
  r.act = el('div', { role: 'gridcell', class: 'act' }, r.button);
  r.root = el('div', { role: 'row', class: 'server', 'data-testid': 'server', 'data-server': id }, r.head, r.slots, r.act);
  r.root.row = r;
  inSight.observe(r.root);
  r.paint.lay(geometry);
  return r;
}

const inSight = new IntersectionObserver(entries => { for (const e of entries) e.target.row.paint.show(e.isIntersecting); }, { rootMargin: '300px' });
let geometry = null;

// lay finds the layout of all rows again, after a change of width or of theme.
export function lay() {
  const fleet = $('fleet'), first = fleet.querySelector('.slots');
  if (!first || !first.clientWidth) return;
  readLook(fleet);
  geometry = layout(first.clientWidth, fleet.classList.contains('roomy'), innerWidth <= 640);
  fleet.style.setProperty('--columns', geometry.columns);
  for (const r of rows.values()) r.paint.lay(geometry);
}

function newCell(i) {
  return { key: null, status: 'empty', root: el('div', { role: 'gridcell', class: 'slot', tabindex: '-1', 'data-slot': i }) };
}

// showSlot has the element say what the slot does; it tells whether a task began in it.
function showSlot(c, s) {
  const phase = s.status === 'empty' ? '' : s.phase || 'running';
  const request = s.request || s.owner || s.id || '';
  const key = s.status + '\n' + phase + '\n' + (s.id || '') + '\n' + request + '\n' + (s.kind || '');
  if (c.key === key) return false;
  const began = c.key !== null && c.status === 'empty' && s.status !== 'empty';
  c.key = key;
  c.status = s.status;
  c.request = s.status === 'empty' ? null : request;
  const e = c.root;
  e.setAttribute('data-status', s.status);
  if (s.status === 'empty') {
    for (const a of ['data-phase', 'data-id', 'data-request']) e.removeAttribute(a);
    e.setAttribute('aria-label', `slot ${s.slot || 0}: empty`);
    return false;
  }
  e.setAttribute('data-phase', phase);
  e.setAttribute('data-id', s.id || '');
  e.setAttribute('data-request', request);
  const helps = request !== s.id ? ` for ${request}` : '';
  e.setAttribute('aria-label', `slot ${s.slot || 0}: ${s.status}${phase === 'running' ? '' : ', ' + phase}, ${s.id}${helps}${s.kind ? ', ' + s.kind : ''}`);
  return began;
}

function showServer(r, s, model, counts) {
  if (r.state !== s.state) {
    r.state = s.state;
    r.root.dataset.state = s.state;
    text(r.badge, s.state === 'up' ? '' : s.state);
    r.badge.hidden = s.state === 'up';
    const what = s.state === 'draining' ? 'resume' : 'drain';
    r.button.dataset.ask = what;
    r.button.dataset.testid = what;
    text(r.button, what === 'drain' ? 'Drain' : 'Resume');
    r.button.setAttribute('aria-label', (what === 'drain' ? 'Drain ' : 'Resume ') + s.id);
    r.button.hidden = s.state === 'gone' || s.state === 'closing';
  }
  if (!counts) return;
  let used = 0;
  for (const slot of s.slots) if (slot.status !== 'empty') used++;
  const waiting = s.waiting + s.held + s.converting;
  const parts = s.state === 'gone' ? [`last seen ${age(model.now() - s.seen)} ago`] : [`${used} of ${s.slots.length}`];
  if (s.state !== 'gone' && waiting) parts.push(`${waiting} waiting`);
  if (s.state !== 'gone' && s.backlog) parts.push(`${s.backlog} set aside`);
  text(r.info, parts.join(' · '));
}

// showFleet brings the rows up to date with what changed.
export function showFleet(model) {
  const { dirty } = model;
  const fleet = $('fleet');
  if (dirty.layout) {
    for (const [id, r] of rows) if (!model.servers.has(id)) { inSight.unobserve(r.root); r.root.remove(); rows.delete(id); }
    const order = [...model.servers.keys()].sort(new Intl.Collator(undefined, { numeric: true }).compare);
    let before = null;
    for (const id of order) {
      let r = rows.get(id);
      if (!r) rows.set(id, r = newRow(id));
      const place = before ? before.nextSibling : fleet.firstChild;
      if (r.root !== place) fleet.insertBefore(r.root, place);
      before = r.root;
    }
    let slots = 0;
    for (const s of model.servers.values()) slots += s.slots.length;
    fleet.classList.toggle('roomy', slots <= 64);
    fleet.classList.toggle('many', order.length > 14);
    fleet.hidden = order.length === 0;
    $('no-fleet').hidden = order.length > 0;
    text($('no-fleet'), 'No server is up. Start one: occamy serve');
  }
  const animate = dirty.count <= lively;
  for (const [id, changed] of dirty.slots) {
    const r = rows.get(id), s = model.servers.get(id);
    if (!r || !s) continue;
    while (r.cells.length > s.slots.length) r.cells.pop().root.remove();
    while (r.cells.length < s.slots.length) {
      const c = newCell(r.cells.length);
      r.cells.push(c);
      r.slots.append(c.root);
    }
    const resized = r.paint.slots !== s.slots || r.size !== s.slots.length;
    r.paint.slots = s.slots;
    r.size = s.slots.length;
    for (const i of changed) {
      if (i >= s.slots.length) continue;
      const began = showSlot(r.cells[i], s.slots[i]);
      if (!resized) r.paint.changed(i, began, animate);
    }
    if (resized && r.paint.seen) r.paint.all();
  }
  if (dirty.layout) lay();
  for (const id of dirty.servers) {
    const r = rows.get(id), s = model.servers.get(id);
    if (!r || !s) continue;
    const now = animate || dirty.layout;
    showServer(r, s, model, now);
    if (!now) uncounted.add(id); // much changes: its counts come with the next tick
  }
  rove();
}

const uncounted = new Set();

// tickFleet brings up to date what need not be at once.
export function tickFleet(model) {
  for (const s of model.servers.values()) if ((s.state === 'gone' || uncounted.has(s.id)) && rows.has(s.id)) showServer(rows.get(s.id), s, model, true);
  uncounted.clear();
}

let current = null; // the cell that Tab reaches

function rove(to) {
  if (to) {
    if (current) current.tabIndex = -1;
    current = to;
    current.tabIndex = 0;
  } else if (!current || !current.isConnected || current.hidden) {
    const first = $('fleet').querySelector('.slot');
    if (first) rove(first);
  }
}

let lit = null;
// light shows which slots work for the same request.
function light(request) {
  if (lit === request) return;
  setLit(lit = request);
  for (const r of rows.values()) if (r.paint.seen) r.paint.all();
}

// hint shows what the slot under the pointer says.
function hint(e) {
  const c = e.target.closest?.('.slot');
  if (c && c.title !== c.ariaLabel) c.title = c.ariaLabel;
}

export function wireFleet(open) {
  const fleet = $('fleet');
  new ResizeObserver(lay).observe(fleet);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', lay);
  document.fonts?.ready.then(lay);
  const cellsOf = row => [...row.querySelectorAll('.slot'), ...row.querySelectorAll('.act button:not([hidden])')];
  const request = e => e.target.closest?.('.slot')?.dataset.request ?? null;
  fleet.addEventListener('pointerover', e => { light(request(e)); hint(e); });
  fleet.addEventListener('pointerleave', () => light(null));
  fleet.addEventListener('focusin', e => {
    const cell = e.target.closest('.slot, .act button');
    if (cell) rove(cell);
    light(request(e));
  });
  fleet.addEventListener('focusout', () => light(null));
  const go = e => {
    const id = e.target.closest('.slot')?.dataset.id;
    if (!id) return false;
    if (e.ctrlKey || e.metaKey) window.open(taskPath(id), '_blank', 'noopener'); else open(id);
    return true;
  };
  fleet.addEventListener('click', go);
  fleet.addEventListener('keydown', e => {
    const cell = e.target.closest('.slot, .act button');
    if (!cell) return;
    const row = cell.closest('.server'), cells = cellsOf(row), i = cells.indexOf(cell);
    const all = [...fleet.children], at = all.indexOf(row);
    const to = n => { const r = all[Math.min(Math.max(n, 0), all.length - 1)], c = cellsOf(r); return c[Math.min(i, c.length - 1)]; };
    let next;
    switch (e.key) {
      case 'ArrowRight': next = cells[i + 1]; break;
      case 'ArrowLeft': next = cells[i - 1]; break;
      case 'ArrowDown': next = to(at + 1); break;
      case 'ArrowUp': next = to(at - 1); break;
      case 'PageDown': next = to(at + 10); break;
      case 'PageUp': next = to(at - 10); break;
      case 'Home': next = e.ctrlKey ? cellsOf(all[0])[0] : cells[0]; break;
      case 'End': next = e.ctrlKey ? cellsOf(all.at(-1)).at(-1) : cells.at(-1); break;
      case 'Enter': if (!go(e)) return; break;
      default: return;
    }
    e.preventDefault();
    if (next) next.focus();
  });
}
