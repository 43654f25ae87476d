import { createHash } from 'node:crypto'
import { PAGE_SCRIPT } from './page-script.ts'

const PAGE_STYLE = `
:root { --bg: #f7f7f5; --card: #fff; --text: #1d2126; --dim: #565d66; --line: #dcdcd6; --good: #1a6b3c; --bad: #a3261d; --warn: #7a4d00; --accent: #1b5e9b; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14171a; --card: #1d2125; --text: #e8e9ea; --dim: #a5adb6; --line: #343a41; --good: #6fcf97; --bad: #ff8f85; --warn: #f0c060; --accent: #7ab8ee; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 16px; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: baseline; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 16px; margin: 0 0 8px; }
p { margin: 4px 0; }
#summary { color: var(--dim); }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px; margin: 12px 0; }
ul, ol { list-style: none; margin: 0; padding: 0; }
.search { display: block; margin-bottom: 8px; color: var(--dim); }
input[type=search], .price { font: inherit; color: inherit; background: var(--bg); border: 1px solid var(--line); border-radius: 6px; padding: 4px 8px; }
input[type=search] { width: min(100%, 320px); }
.price { width: 72px; text-align: right; }
input[type=range] { width: 100%; accent-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.database { display: grid; grid-template-columns: minmax(120px, 1.4fr) 120px 90px 150px 90px 180px; gap: 2px 14px; align-items: center; width: 100%; padding: 8px; border: 0; border-top: 1px solid var(--line); background: none; color: inherit; font: inherit; text-align: left; cursor: pointer; }
.database:hover, .database[aria-pressed=true] { background: var(--bg); }
.name { font-weight: 600; }
.state { font-size: 13px; font-weight: 600; }
.state.good { color: var(--good); } .state.warn { color: var(--warn); } .state.bad { color: var(--bad); }
.dim { color: var(--dim); font-size: 13px; }
.reason { grid-column: 1 / -1; color: var(--dim); font-size: 13px; }
.reason.bad { color: var(--bad); }
svg { display: block; width: 180px; height: 28px; }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg line { stroke: var(--line); }
pre { background: var(--bg); border: 1px solid var(--line); border-radius: 6px; padding: 10px; overflow-x: auto; white-space: pre-wrap; margin: 8px 0; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 0 12px; align-items: start; }
.columns section { min-width: 0; }
#databases { max-height: 440px; overflow-y: auto; padding: 2px; }
#events, #verifications, #drills { max-height: 320px; overflow-y: auto; }
#events li, #verifications li, #drills li { border-top: 1px solid var(--line); padding: 4px 0; font-size: 13px; }
time { color: var(--dim); margin-right: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { text-align: right; padding: 4px; border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
@media (max-width: 760px) {
  body { padding: 10px; }
  .database { grid-template-columns: 1fr auto; }
  svg { width: 100%; grid-column: 1 / -1; }
  .columns { grid-template-columns: minmax(0, 1fr); }
}
`

/** The page at `/`: one document that asks for nothing but this interface. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>walsync</title>
<link rel="icon" href="data:,">
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
  <h1>walsync</h1>
  <p id="summary" role="status">Loading…</p>
</header>
<main>
  <section aria-labelledby="databases-title">
    <h2 id="databases-title">Databases</h2>
    <label class="search">Search <input id="search" type="search" autocomplete="off" spellcheck="false"></label>
    <ul id="databases"></ul>
    <p id="more" hidden></p>
  </section>
  <section id="detail" aria-labelledby="detail-title" hidden>
    <h2 id="detail-title"></h2>
    <p id="detail-path"></p>
    <label for="scrubber">State to restore</label>
    <input id="scrubber" type="range" min="0" max="0" value="0">
    <p id="state" aria-live="polite"></p>
    <pre id="command" tabindex="0" aria-label="Restore command"></pre>
    <p id="plan"></p>
  </section>
  <div class="columns">
    <section aria-labelledby="events-title">
      <h2 id="events-title">Events</h2>
      <ol id="events" tabindex="0" aria-labelledby="events-title"></ol>
    </section>
    <section aria-labelledby="verifications-title">
      <h2 id="verifications-title">Verifications</h2>
      <ol id="verifications" tabindex="0" aria-labelledby="verifications-title"></ol>
    </section>
    <section aria-labelledby="drills-title">
      <h2 id="drills-title">Restore drills</h2>
      <ol id="drills" tabindex="0" aria-labelledby="drills-title"></ol>
    </section>
    <section aria-labelledby="cost-title">
      <h2 id="cost-title">Today</h2>
      <table id="cost">
        <thead><tr><th scope="col">Requests</th><th scope="col">Number</th><th scope="col">$ per million</th><th scope="col">$</th></tr></thead>
        <tbody></tbody>
      </table>
      <p id="bytes"></p>
    </section>
  </div>
</main>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`

const [style, script] = [PAGE_STYLE, PAGE_SCRIPT].map(
  (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
)

/** Content security policy: nothing from elsewhere, and no script but this one. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `script-src ${script}`,
  `style-src ${style}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
