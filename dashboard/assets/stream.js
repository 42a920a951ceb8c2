// The event stream: one connection, with a sign of life at least every 10 s,
// that is opened again when it is cut, after pauses that grow.

const silence = 25000, firstPause = 500, longestPause = 8000;

// follow calls update for each update, and state with 'live' or 'cut'.
export function follow(url, update, state) {
  let pause = firstPause, wake = null;
  const heal = () => { pause = firstPause; if (wake) wake(); };
  addEventListener('online', heal);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) heal(); });

  (async () => {
    for (;;) {
      const stop = new AbortController();
      let timer = setTimeout(() => stop.abort(), silence);
      try {
        const answer = await fetch(url, { signal: stop.signal, headers: { Accept: 'text/event-stream' }, cache: 'no-store' });
        if (answer.status === 401 || answer.redirected) { location.reload(); return; }
        if (!answer.ok || !answer.body) throw new Error('answered ' + answer.status);
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = '';
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          clearTimeout(timer);
          timer = setTimeout(() => stop.abort(), silence);
          const parts = (rest + value).split('\n\n');
          rest = parts.pop();
          for (const part of parts) {
            const at = part.indexOf('data: ');
            if (at < 0) continue; // a sign of life
            update(JSON.parse(part.slice(at + 6)));
            pause = firstPause;
            state('live');
          }
        }
      } catch { /* cut: told below */ }
      clearTimeout(timer);
      stop.abort();
      state('cut');
      await new Promise(done => { wake = done; setTimeout(done, pause * (0.75 + Math.random() / 2)); });
      wake = null;
      pause = Math.min(pause * 2, longestPause);
    }
  })();
}
