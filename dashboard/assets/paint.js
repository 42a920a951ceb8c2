// Draws slots. What they say stands in the elements that lie over the canvas:
// those are what the keyboard, a screen reader and a test find. Only rows in
// sight have pixels, and only what changed is drawn again, so that a fleet of
// thousands of slots stays light.

const gap = 3, glyphs = { protected: 'P', internal: 'I', external: 'E' };
const still = matchMedia('(prefers-reduced-motion: reduce)');
const grow = 260; // ms
let look = null;  // colours and fonts of the theme
let lit = null;   // the request whose slots stand out

export function setLit(request) { lit = request; }

// 12 colours: all slots of one request have the same.
export function family(id) {
  let h = 2166136261;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 16777619);
  return `oklch(73% .16 ${(h >>> 0) % 12 * 30 + 10})`;
}

function pattern(g, ink, draw, scale) {
  const c = document.createElement('canvas'), n = Math.round(6 * scale);
  c.width = c.height = n;
  const p = c.getContext('2d');
  p.scale(n / 6, n / 6);
  p.fillStyle = p.strokeStyle = ink;
  draw(p);
  const made = g.createPattern(c, 'repeat');
  made.setTransform(new DOMMatrix().scale(6 / n));
  return made;
}

// readLook reads the theme from the legend and the grid.
export function readLook(fleet) {
  const css = getComputedStyle(fleet), scale = devicePixelRatio || 1;
  const g = document.createElement('canvas').getContext('2d');
  const of = name => {
    const s = getComputedStyle(document.querySelector('.figures .swatch.' + name));
    return { fill: s.backgroundColor, ink: s.color, edge: s.borderTopColor };
  };
  look = { ink: css.color, line: css.borderTopColor, bad: css.caretColor, card: css.backgroundColor, mono: css.getPropertyValue('--mono'), scale,
    protected: of('protected'), internal: of('internal'), external: of('external') };
  look.internal.pattern = pattern(g, look.internal.edge, p => { p.globalAlpha = .6; p.lineWidth = 1.6; p.beginPath(); for (const x of [-6, 0, 6]) { p.moveTo(x, 6); p.lineTo(x + 6, 0); } p.stroke(); }, scale);
  look.external.pattern = pattern(g, look.external.edge, p => { p.globalAlpha = .8; for (const [x, y] of [[1.5, 1.5], [4.5, 4.5]]) { p.beginPath(); p.arc(x, y, .9, 0, 7); p.fill(); } }, scale);
}

// Row is the canvas of one server.
export class Row {
  constructor() {
    this.canvas = document.createElement('canvas');
    this.canvas.setAttribute('aria-hidden', 'true');
    this.canvas.width = this.canvas.height = 0;
    this.seen = false;
    this.slots = [];
    this.began = new Map(); // slots that grow: since when
  }

  // lay has it drawn for a layout: columns, width and height of a slot.
  lay(geometry) {
    this.at = geometry;
    if (this.seen) this.all();
  }

  show(seen) {
    if (this.seen === seen) return;
    this.seen = seen;
    if (seen) this.all(); else this.canvas.width = this.canvas.height = 0;
  }

  all() {
    if (!this.at || !look) return;
    const { columns, width, height, total } = this.at, lines = Math.ceil(this.slots.length / columns);
    const w = Math.round(total * look.scale), h = Math.round((lines * (height + gap) + 1) * look.scale);
    this.canvas.width = w;
    this.canvas.height = h;
    this.canvas.style.width = w / look.scale + 'px';
    this.canvas.style.height = h / look.scale + 'px';
    this.g = this.canvas.getContext('2d');
    this.g.scale(look.scale, look.scale);
    this.g.textBaseline = 'middle';
    for (let i = 0; i < this.slots.length; i++) this.draw(i);
  }

  changed(i, began, animate) {
    if (!this.seen || !this.g) return;
    if (began && animate && !still.matches) {
      this.began.set(i, performance.now());
      growing.add(this);
      loop ||= requestAnimationFrame(step);
    } else this.began.delete(i);
    this.draw(i);
  }

  draw(i, now) {
    const g = this.g, s = this.slots[i], { columns, width: w, height: h, roomy } = this.at;
    const x = (i % columns) * (w + gap), y = Math.floor(i / columns) * (h + gap), radius = roomy ? 7 : 4.5;
    g.clearRect(x - 1, y - 1, w + 2, h + 2);
    if (s.status === 'empty') {
      g.strokeStyle = look.line;
      g.lineWidth = 1;
      g.setLineDash([3, 3]);
      g.beginPath(); g.roundRect(x + .5, y + .5, w - 1, h - 1, radius); g.stroke();
      g.setLineDash([]);
      return;
    }
    g.save();
    const l = look[s.status], request = s.request || s.owner || s.id || '', stuck = s.phase === 'stuck', stopping = s.phase === 'stopping';
    if (lit !== null && lit !== request) g.globalAlpha = .4;
    const since = this.began.get(i);
    if (since !== undefined) {
      const t = 1 - (1 - Math.min(1, ((now || performance.now()) - since) / grow)) ** 3;
      g.globalAlpha *= .3 + .7 * t;
      g.translate(x, 0); g.scale(.15 + .85 * t, 1); g.translate(-x, 0);
    }
    g.beginPath(); g.roundRect(x, y, w, h, radius); g.clip();
    g.fillStyle = l.fill; g.fillRect(x, y, w, h);
    if (s.fraction > 0) { g.fillStyle = 'rgb(255 255 255 / .16)'; g.fillRect(x, y, w * Math.min(s.fraction, 1), h); }
    const mark = roomy ? 24 : 13, stripe = roomy ? 4 : 3;
    if (stuck) { g.fillStyle = look.bad; g.fillRect(x, y, mark, h); } else if (l.pattern) { g.fillStyle = l.pattern; g.fillRect(x, y, mark, h); } else { g.fillStyle = 'rgb(0 0 0 / .22)'; g.fillRect(x, y, mark, h); }
    g.fillStyle = family(request); g.fillRect(x, y + h - stripe, w, stripe);
    const middle = y + (h - stripe) / 2 + 1;
    g.fillStyle = stuck ? look.card : l.ink;
    g.font = `700 ${roomy ? 12 : 10}px ${look.mono}`;
    g.textAlign = 'center';
    if (l.pattern && !stuck) { g.save(); g.lineWidth = 3; g.lineJoin = 'round'; g.strokeStyle = l.fill; g.strokeText(stopping ? '↓' : glyphs[s.status], x + mark / 2, middle); g.restore(); }
    g.fillText(stuck ? '!' : stopping ? '↓' : glyphs[s.status], x + mark / 2, middle);
    g.textAlign = 'left';
    g.fillStyle = l.ink;
    const size = roomy ? 12.5 : 10.5, room = Math.floor((w - mark - (roomy ? 12 : 4)) / (size * .602));
    g.font = `${size}px ${look.mono}`;
    const label = short(named(s, request, room), room);
    g.fillText(label, x + mark + (roomy ? 8 : 3), middle);
    if (stopping) g.fillRect(x + mark + 3, middle, Math.min(w - mark - 6, label.length * size * .602), 1);
    g.restore();
    g.save();
    g.strokeStyle = stuck ? look.bad : lit === request ? look.ink : l.edge;
    g.lineWidth = stuck || lit === request ? 2 : 1;
    const inset = g.lineWidth / 2;
    if (stopping) g.setLineDash([4, 3]);
    if (since === undefined) { g.beginPath(); g.roundRect(x + inset, y + inset, w - 2 * inset, h - 2 * inset, radius); g.stroke(); }
    g.restore();
  }
}

// named is the ID of a task, or the part of a helper's ID that names its request.
function named(s, request, room) {
  const id = s.id || '';
  if (id === request || !id.startsWith(request) || id.length <= room) return id;
  return request.length + 2 <= room ? id.slice(0, room - 1) + '…' : request;
}

// short keeps the beginning and the end of an ID, which are what tells IDs
// apart. Control and direction characters are left out: they move other text.
function short(id, room) {
  if (id.length > 64) id = id.slice(0, 32) + id.slice(-32);
  id = id.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '');
  const c = [...id];
  if (c.length <= room) return id;
  if (room < 3) return '';
  const tail = room < 10 ? room - 1 : Math.ceil((room - 1) * .6); // the end tells more
  return c.slice(0, room - 1 - tail).join('') + '…' + c.slice(-tail).join('');
}

const growing = new Set();
let loop = 0;

function step(now) {
  loop = 0;
  for (const r of growing) {
    for (const [i, since] of r.began) {
      if (now - since >= grow || i >= r.slots.length) r.began.delete(i);
      if (i < r.slots.length && r.seen) r.draw(i, now);
    }
    if (!r.began.size || !r.seen) { r.began.clear(); growing.delete(r); }
  }
  if (growing.size) loop = requestAnimationFrame(step);
}

// layout is where slots lie in a row of a width.
export function layout(total, roomy, narrow) {
  const height = roomy ? 38 : 26, least = roomy ? 104 : narrow ? 64 : Math.max(40, Math.min(54, (total + gap) / 16 - gap - .01));
  const columns = Math.max(1, Math.floor((total + gap) / (least + gap)));
  return { columns, width: (total - gap * (columns - 1)) / columns, height, total, roomy };
}
