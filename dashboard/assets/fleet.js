// The servers as rows of slots: an ARIA grid with one tab stop.
import { $, el, text, attribute, age, taskPath } from './dom.js';

const rows = new Map(); // by ID of the server
const lively = 24;      // changes at a time that are animated
const letters = { protected: 'P', internal: 'I', external: 'E', empty: '' };
const still = matchMedia('(prefers-reduced-motion: reduce)');

// family is one of 12 colours that all slots of one request have.
function family(id) {
  let h = 2166136261;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 16777619);
  return (h >>> 0) % 12;
}

function newRow(id) {
  const r = { id, cells: [], state: '' };
  r.name = el('span', { class: 'name' }, id);
  r.badge = el('span', { class: 'badge' });
  r.info = el('span', { class: 'info' });
  r.head = el('div', { role: 'rowheader', class: 'server-head' }, r.name, r.badge, r.info);
  r.slots = el('div', { role: 'presentation', class: 'slots' });
  r.button = el('button', { type: 'button', class: 'quiet', tabindex: '-1', 'data-id': id, 'data-server': id });
  r.act = el('div', { role: 'gridcell', class: 'act' }, r.button);
  r.root = el('div', { role: 'row', class: 'server', 'data-testid': 'server', 'data-server': id }, r.head, r.slots, r.act);
  return r;
}

function newCell(i) {
  const c = { key: null, letter: el('b', { 'aria-hidden': 'true' }), label: el('span', { 'aria-hidden': 'true' }) };
  c.root = el('div', { role: 'gridcell', class: 'slot', tabindex: '-1', 'data-slot': i }, c.letter, c.label);
  return c;
}

function showSlot(c, s) {
  const phase = s.status === 'empty' ? '' : s.phase || 'running';
  const request = s.request || s.owner || s.id || '';
  const key = s.status + '\n' + phase + '\n' + (s.id || '') + '\n' + request + '\n' + (s.kind || '');
  if (c.key !== key) {
    const began = c.key !== null && c.status === 'empty' && s.status !== 'empty';
    c.key = key;
    c.status = s.status;
    const d = c.root.dataset;
    d.status = s.status;
    if (s.status === 'empty') {
      delete d.phase; delete d.id; delete d.request; delete d.family;
      c.root.removeAttribute('title');
      c.root.setAttribute('aria-label', `slot ${s.slot || 0}: empty`);
    } else {
      d.phase = phase; d.id = s.id || ''; d.request = request; d.family = family(request);
      const helps = request !== s.id ? ` for ${request}` : '';
      const label = `slot ${s.slot || 0}: ${s.status}${phase === 'running' ? '' : ', ' + phase}, ${s.id}${helps}${s.kind ? ', ' + s.kind : ''}`;
      c.root.setAttribute('aria-label', label);
      c.root.title = label;
    }
    text(c.letter, phase === 'stuck' ? '!' : phase === 'stopping' ? '↓' : letters[s.status]);
    text(c.label, s.id || '');
    if (began) return true;
  }
  const p = s.fraction > 0 && s.status === 'protected' ? Math.min(s.fraction, 1).toFixed(2) : '';
  if (c.progress !== p) {
    c.progress = p;
    if (p) c.root.style.setProperty('--done', p); else c.root.style.removeProperty('--done');
  }
  return false;
}

function showServer(r, s, model) {
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
    for (const [id, r] of rows) if (!model.servers.has(id)) { r.root.remove(); rows.delete(id); }
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
  const animate = dirty.count <= lively && !still.matches;
  fleet.classList.toggle('lively', animate);
  for (const [id, changed] of dirty.slots) {
    const r = rows.get(id), s = model.servers.get(id);
    if (!r || !s) continue;
    while (r.cells.length > s.slots.length) r.cells.pop().root.remove();
    while (r.cells.length < s.slots.length) {
      const c = newCell(r.cells.length);
      r.cells.push(c);
      r.slots.append(c.root);
    }
    for (const i of changed) {
      if (i >= s.slots.length) continue;
      const c = r.cells[i];
      if (showSlot(c, s.slots[i]) && animate) c.root.animate([{ transform: 'scaleX(.2)', opacity: .3 }, { transform: 'none', opacity: 1 }], { duration: 260, easing: 'cubic-bezier(.2,.8,.2,1)' });
    }
  }
  for (const id of dirty.servers) {
    const r = rows.get(id), s = model.servers.get(id);
    if (r && s) showServer(r, s, model);
  }
  rove();
}

// tickFleet brings the ages of servers that are gone up to date.
export function tickFleet(model) {
  for (const s of model.servers.values()) if (s.state === 'gone' && rows.has(s.id)) showServer(rows.get(s.id), s, model);
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
  lit = request;
  const fleet = $('fleet');
  for (const c of fleet.querySelectorAll('.kin')) c.classList.remove('kin');
  fleet.classList.toggle('lit', request !== null);
  if (request !== null) for (const r of rows.values()) for (const c of r.cells) if (c.root.dataset.request === request) c.root.classList.add('kin');
}

export function wireFleet(open) {
  const fleet = $('fleet');
  const cellsOf = row => [...row.querySelectorAll('.slot'), ...row.querySelectorAll('.act button:not([hidden])')];
  const request = e => e.target.closest?.('.slot')?.dataset.request ?? null;
  fleet.addEventListener('pointerover', e => light(request(e)));
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
