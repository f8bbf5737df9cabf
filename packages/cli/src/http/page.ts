/** The status page: one file, which asks `/api/status` every two seconds and `/api/files` when a database is opened. */

const STYLE = `
:root { color-scheme: light dark; --ok: #1a7f37; --bad: #cf222e; --wait: #9a6700; --line: #8884; --soft: #8882; --mark: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ok: #3fb950; --bad: #f85149; --wait: #d29922; --mark: #58a6ff; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: baseline; margin-bottom: 1rem; }
h1 { font-size: 1.25rem; margin: 0; }
code, .n { font-family: ui-monospace, monospace; font-size: .92em; }
.dim { opacity: .7; }
details { border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .6rem; }
summary { cursor: pointer; padding: .6rem .8rem; display: grid; gap: .2rem .9rem; grid-template-columns: auto 1fr auto auto; align-items: baseline; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary b { overflow-wrap: anywhere; font-weight: 600; }
.dot { width: .7rem; height: .7rem; border-radius: 50%; background: var(--wait); align-self: center; }
.dot.ok { background: var(--ok); } .dot.bad { background: var(--bad); }
.body { border-top: 1px solid var(--line); padding: .6rem .8rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 500; opacity: .7; white-space: nowrap; }
th, td { padding: .2rem .8rem .2rem 0; vertical-align: top; overflow-wrap: anywhere; }
.error { color: var(--bad); }
.level { display: grid; grid-template-columns: 7.5rem 1fr; gap: .6rem; align-items: center; margin: .2rem 0; }
svg { width: 100%; height: 1.4rem; background: var(--soft); border-radius: .25rem; display: block; }
rect { fill: var(--mark); }
.axis { display: flex; justify-content: space-between; margin-left: 8.1rem; font-size: .85em; }
@media (max-width: 38rem) { summary { grid-template-columns: auto 1fr; } .wide { grid-column: 2; } .level { grid-template-columns: 1fr; gap: .1rem; } .axis { margin-left: 0; } th.opt, td.opt { display: none; } }
`;

const SCRIPT = `
'use strict';
const $ = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const names = { 0: 'level 0, raw', 9: 'snapshots' };
const size = (n) => { const units = ['B', 'kB', 'MB', 'GB', 'TB']; let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return (i === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)) + ' ' + units[i]; };
const ago = (s) => s === null ? 'not yet' : s < 2 ? 'now' : s < 120 ? Math.round(s) + ' s ago' : s < 7200 ? Math.round(s / 60) + ' min ago' : Math.round(s / 3600) + ' h ago';
const short = (txid) => txid.replace(/^0+(?=.)/, '');
const opened = new Map();

function health(db) {
  if (db.state === 'standby') return ['', 'standing by for another Litestream'];
  if (db.error !== null) return ['bad', 'failing'];
  if (db.state === 'stopped') return ['', 'stopped'];
  if (db.state === 'waiting') return ['', db.waiting_for === null ? 'waiting for the file' : 'not ready: ' + db.waiting_for];
  if (db.lag_seconds === null) return ['', 'starting'];
  return db.lag_seconds > 60 ? ['bad', 'behind'] : ['ok', 'replicated ' + ago(db.lag_seconds)];
}

function lease(lease) {
  if (lease === null) return '–';
  if (lease.state === 'waiting') return 'held by ' + (lease.holder ?? 'another process');
  return lease.state + (lease.generation === null ? '' : ', generation ' + lease.generation + ', until ' + new Date(lease.expires_at).toLocaleTimeString());
}

function drill(drill) {
  if (drill === null) return '–';
  return drill.ok ? (drill.proven ? 'proven' : 'restored') + ' up to TXID ' + short(drill.txid) + ' at ' + new Date(drill.succeeded_at).toLocaleString() : 'failed: ' + drill.error;
}

function card(db) {
  let entry = opened.get(db.path);
  if (entry === undefined) {
    const summary = $('summary');
    const facts = $('div');
    const levels = $('div', { class: 'levels' });
    const details = $('details', {}, summary, $('div', { class: 'body' }, facts, levels));
    details.addEventListener('toggle', () => {
      if (!details.open) return;
      history.replaceState(null, '', '#' + encodeURIComponent(db.path));
      void timeline(db.path, levels);
    });
    // A link to one database shows its details.
    details.open = decodeURIComponent(location.hash.slice(1)) === db.path;
    opened.set(db.path, (entry = { details, summary, facts, levels }));
  }
  const [state, text] = health(db);
  entry.summary.replaceChildren(
    $('span', { class: 'dot ' + state }), $('b', {}, db.path),
    $('span', { class: 'wide n', title: 'transaction ' + db.txid }, 'TXID ' + short(db.txid)),
    $('span', { class: 'wide ' + (state === 'bad' ? 'error' : '') }, text));
  const rows = db.replicas.map((replica) => $('tr', {},
    $('td', {}, replica.type), $('td', {}, $('code', {}, replica.url)), $('td', { class: 'n' }, short(replica.txid)),
    $('td', {}, /^0+$/.test(replica.txid) ? 'nothing yet' : replica.behind > 0 ? replica.behind + ' behind' : 'up to date'),
    $('td', { class: replica.lease !== null && ['lapsed', 'lost'].includes(replica.lease.state) ? 'opt error' : 'opt' }, lease(replica.lease)),
    $('td', { class: replica.drill !== null && !replica.drill.ok ? 'opt error' : 'opt' }, drill(replica.drill)),
    $('td', { class: 'opt' }, String(replica.compactions)), $('td', { class: 'opt' }, String(replica.snapshots)),
    $('td', { class: 'error' }, replica.error ?? '')));
  const head = $('tr', {}, $('th', {}, 'replica'), $('th', {}, 'where'), $('th', {}, 'TXID'), $('th', {}, 'position'), $('th', { class: 'opt' }, 'lease'), $('th', { class: 'opt' }, 'drill'), $('th', { class: 'opt' }, 'compactions'), $('th', { class: 'opt' }, 'snapshots'), $('th', {}, ''));
  entry.facts.replaceChildren(
    $('p', { class: 'dim' }, 'page size ' + (db.page_size ?? '–') + ', WAL ' + (db.wal_size === null ? '–' : size(db.wal_size)) + (db.last_sync_at === null ? '' : ', everything replicated at ' + new Date(db.last_sync_at).toLocaleString())
      + (db.proven_at === null ? '' : ', proven up to TXID ' + short(db.proven_txid) + ' at ' + new Date(db.proven_at).toLocaleString())),
    ...(db.error === null ? [] : [$('p', { class: 'error' }, db.error)]), $('table', {}, head, ...rows));
  return entry.details;
}

async function timeline(path, place) {
  place.replaceChildren($('p', { class: 'dim' }, 'listing the replica …'));
  const response = await fetch('api/files?path=' + encodeURIComponent(path));
  const answer = response.headers.get('content-type').startsWith('application/json') ? await response.json() : { error: await response.text() };
  if (!response.ok) { place.replaceChildren($('p', { class: 'error' }, answer.error)); return; }
  const all = answer.levels.flatMap((level) => level.files);
  if (all.length === 0) { place.replaceChildren($('p', { class: 'dim' }, 'the replica has no files yet')); return; }
  const first = Math.min(...all.map((file) => parseInt(file.min_txid, 16)));
  const last = Math.max(...all.map((file) => parseInt(file.max_txid, 16)));
  const times = all.map((file) => Date.parse(file.timestamp));
  const rows = answer.levels.toReversed().map(({ level, files, more }) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', '0 0 1000 10');
    svg.setAttribute('preserveAspectRatio', 'none');
    for (const file of files) {
      const [from, to] = [parseInt(file.min_txid, 16), parseInt(file.max_txid, 16) + 1].map((txid) => ((txid - first) / (last + 1 - first)) * 1000);
      const rect = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      for (const [name, value] of Object.entries({ x: from, y: 1, width: Math.max(1, to - from - 0.6), height: 8 })) rect.setAttribute(name, value);
      const title = document.createElementNS('http://www.w3.org/2000/svg', 'title');
      title.textContent = short(file.min_txid) + ' – ' + short(file.max_txid) + ', ' + size(file.size) + ', ' + new Date(file.timestamp).toLocaleString();
      rect.append(title);
      svg.append(rect);
    }
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const label = (names[level] ?? 'level ' + level);
    return $('div', { class: 'level' }, $('span', {}, label + ' ', $('span', { class: 'dim n' }, files.length + (more ? '+' : '') + ', ' + size(total))), svg);
  });
  const points = new Set(all.map((file) => file.max_txid)).size;
  place.replaceChildren($('p', {}, points + ' restore points, from ' + new Date(Math.min(...times)).toLocaleString() + ' to ' + new Date(Math.max(...times)).toLocaleString()),
    ...rows, $('div', { class: 'axis dim n' }, $('span', {}, 'TXID ' + first.toString(16)), $('span', {}, last.toString(16))));
}

async function refresh() {
  const problem = document.getElementById('problem');
  try {
    const status = await (await fetch('api/status')).json();
    document.getElementById('about').textContent = 'version ' + status.version + ', up since ' + new Date(status.started_at).toLocaleString();
    const cards = status.databases.map(card);
    const list = document.getElementById('databases');
    if (cards.length !== list.children.length || cards.some((each, i) => list.children[i] !== each)) list.replaceChildren(...cards);
    const failing = status.databases.filter((db) => health(db)[0] === 'bad').length;
    document.getElementById('count').textContent = status.databases.length + (status.databases.length === 1 ? ' database' : ' databases') + (failing > 0 ? ', ' + failing + ' failing' : '');
    problem.textContent = '';
  } catch (error) {
    problem.textContent = 'litestream does not answer: ' + error.message;
  }
}
void refresh();
setInterval(refresh, 2000);
`;

export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Litestream</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header><h1>Litestream</h1><span id="count"></span><span id="about" class="dim"></span></header>
<p id="problem" class="error" role="status"></p>
<main id="databases"></main>
<script>${SCRIPT}</script>
</body>
</html>
`;
