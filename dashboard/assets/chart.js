// The strip chart: slots by status, stacked, and below it the requests waiting.
import uPlot from './uplot.js';
import { $, clock } from './dom.js';

const longest = 300, shortest = 60; // seconds in sight
const data = [[], [], [], [], [], []]; // time, protected, + internal, + external, slots, waiting
let plots = null, colours = null, width = 0;

function pattern(colour, ink, draw) {
  const c = document.createElement('canvas');
  c.width = c.height = 8;
  const g = c.getContext('2d');
  g.fillStyle = colour;
  g.fillRect(0, 0, 8, 8);
  g.fillStyle = g.strokeStyle = ink;
  draw(g);
  return g.createPattern(c, 'repeat');
}

function readColours() {
  const of = (name, property) => getComputedStyle(document.querySelector('.figures .swatch.' + name))[property];
  const page = getComputedStyle($('chart'));
  const stripe = g => { g.lineWidth = 2; g.beginPath(); for (const x of [-8, 0, 8]) { g.moveTo(x, 8); g.lineTo(x + 8, 0); } g.stroke(); };
  const dot = g => { for (const [x, y] of [[2, 2], [6, 6]]) { g.beginPath(); g.arc(x, y, 1.1, 0, 7); g.fill(); } };
  colours = {
    ink: page.color, line: page.borderTopColor,
    protected: of('protected', 'backgroundColor'),
    internal: pattern(of('internal', 'backgroundColor'), of('internal', 'borderTopColor'), stripe),
    external: pattern(of('external', 'backgroundColor'), of('external', 'borderTopColor'), dot),
    edges: { protected: of('protected', 'borderTopColor'), internal: of('internal', 'borderTopColor'), external: of('external', 'borderTopColor') },
  };
}

const font = '11px system-ui, sans-serif';
const axis = more => ({ stroke: () => colours.ink, font, grid: { stroke: () => colours.line, width: 1 }, ticks: { show: false }, ...more });
const whole = { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 1e5] };

function make(height, series, bands, x) {
  const stepped = uPlot.paths.stepped({ align: 1 });
  return new uPlot({
    width: Math.max(width, 200), height, legend: { show: false }, cursor: { show: false }, padding: [6, 8, x ? 0 : 7, 0],
    scales: { x: { time: false, range: () => { const t = data[0].at(-1) || 0; return [t - Math.min(longest, Math.max(shortest, t - (data[0][0] || 0))), t]; } }, y: { range: (u, min, max) => [0, Math.max(max, 1) * 1.05] } },
    axes: [axis({ show: x, size: 22, incrs: [10, 15, 30, 60, 120], space: 70, values: (u, at) => at.map(t => clock(t * 1000)) }), axis({ size: 36, gap: 4, space: 24, ...whole })],
    series: [{}, ...series.map(s => ({ paths: stepped, points: { show: false }, width: 1, ...s }))], bands,
  }, null, $('chart'));
}

function build() {
  readColours();
  width = $('chart').clientWidth;
  for (const p of plots || []) p.destroy();
  $('chart').replaceChildren();
  plots = [
    make(132, [
      { stroke: () => colours.edges.protected, fill: () => colours.protected },
      { stroke: () => colours.edges.internal }, { stroke: () => colours.edges.external },
      { stroke: () => colours.ink, dash: [4, 4] },
    ], [{ series: [2, 1], fill: () => colours.internal }, { series: [3, 2], fill: () => colours.external }], false),
    make(78, [{ stroke: () => colours.ink, width: 1.5 }], [], true),
  ];
  draw();
}

function draw() {
  if (!plots || document.hidden || !width) return;
  plots[0].setData([data[0], data[1], data[2], data[3], data[4]]);
  plots[1].setData([data[0], data[5]]);
}

let described = 0;
// sample takes a sample of the model's totals and draws.
export function sample(t, now) {
  const s = Math.round(now / 100) / 10;
  if (data[0].length && s <= data[0].at(-1)) return;
  [s, t.protected, t.protected + t.internal, t.protected + t.internal + t.external, t.slots, t.waiting].forEach((v, i) => data[i].push(v));
  let old = 0;
  while (data[0][old + 1] < s - longest) old++;
  if (old > 20) for (const d of data) d.splice(0, old);
  if (now - described > 10000) {
    described = now;
    $('chart').setAttribute('aria-label', `Slots by status and requests waiting over the last minutes. Now of ${t.slots} slots ${t.protected} protected, ${t.internal} internal, ${t.external} external, ${t.empty} empty; ${t.waiting} requests waiting.`);
  }
  draw();
}

export function startChart() {
  build();
  new ResizeObserver(() => {
    width = $('chart').clientWidth;
    if (width && plots[0].width !== width) plots.forEach(p => p.setSize({ width, height: p.height }));
  }).observe($('chart'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', build);
  document.addEventListener('visibilitychange', draw);
}

export { build as rebuild };
