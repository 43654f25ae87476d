import { createHash } from 'node:crypto'
import { PAGE_SCRIPT } from './page-script.ts'
import { PAGE_STYLE } from './page-style.ts'

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
