// Runs before the page is drawn, so that it does not change its colours.
try {
  const t = localStorage.getItem('occamy-theme');
  if (t === 'dark' || t === 'light') document.documentElement.dataset.theme = t;
} catch { /* storage is off: the system's theme */ }
