import { $, legible, text, say } from './dom.js';

const calls = {
  cancel: {
    path: '/api/task/cancel', title: id => `Cancel ${id}?`, ok: 'Cancel the task', back: 'Let it run', danger: true,
    text: 'All servers are told to end what bears this ID. Its work is lost; whoever waits for it learns that it was cancelled.', done: id => `${id}: told all servers to cancel it`,
  },
  drain: {
    path: '/api/server/drain', title: id => `Drain ${id}?`, ok: 'Drain', back: 'Back', danger: true,
    text: 'It takes no more requests. What runs goes on.', done: id => `${id} was told to drain`,
  },
  resume: {
    path: '/api/server/resume', title: id => `Resume ${id}?`, ok: 'Resume', back: 'Back', danger: false,
    text: 'It takes requests again.', done: id => `${id} was told to resume`,
  },
};

let asked = null;

// ask asks whether to do it, and does it.
export function ask(what, id) {
  const call = calls[what];
  asked = { call, id };
  text($('confirm-title'), legible(call.title(id)));
  text($('confirm-text'), call.text);
  text($('confirm-ok'), call.ok);
  text($('confirm-back'), call.back);
  $('confirm-ok').className = call.danger ? 'danger' : 'primary';
  $('confirm-ok').disabled = false;
  $('problem').hidden = true;
  $('confirm').showModal();
}

async function go() {
  const { call, id } = asked;
  $('confirm-ok').disabled = true;
  $('problem').hidden = true;
  try {
    const answer = await fetch(call.path + '?id=' + encodeURIComponent(id), { method: 'POST', signal: AbortSignal.timeout(10000) });
    if (!answer.ok) {
      const { error, hint } = await answer.json().catch(() => ({}));
      throw new Error(`${error || 'the server answered ' + answer.status}${hint ? '; ' + hint : ''}`);
    }
    $('confirm').close();
    say(call.done(id));
  } catch (e) {
    const cut = e instanceof TypeError || e.name === 'TimeoutError';
    text($('problem'), cut ? 'The server does not answer. Try again when the connection is back.' : e.message);
    $('problem').hidden = false;
  }
  $('confirm-ok').disabled = false;
}

export function wireDialog() {
  $('confirm-back').addEventListener('click', () => $('confirm').close());
  $('confirm-ok').addEventListener('click', go);
  document.addEventListener('click', e => {
    const b = e.target.closest('button[data-ask]');
    if (b) ask(b.dataset.ask, b.dataset.id);
  });
}
