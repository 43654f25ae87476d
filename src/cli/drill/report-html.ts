import { formatBytes, plural } from '../output/format.ts'
import { formatSpan } from '../status/render-status.ts'
import type { DrillReport, ReportedDatabase, ReportedRestore } from './drill-report.ts'

/** The report as one page that needs nothing else: no script, no asset, light and dark. */
export function reportHtml(report: DrillReport): string {
  const { databases, error, passed, walsync, store, startedAt, durationMs } = report
  const title = `Restore drill ${passed ? 'passed' : 'failed'}`
  const good = databases.filter((database) => database.passed).length
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${html(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Restore drill ${mark(passed)}</h1>
<p class="dim">${good} of ${plural(databases.length, 'database')} passed · ${time(startedAt)} · took ${html(formatSpan(durationMs))} · ${html(store)} · walsync ${html(walsync)}</p>
</header>
<main>
${error === undefined ? '' : `<section><h2>The drill did not run to its end</h2><p class="bad">${html(error.message)}</p><p>${html(error.hint)}</p></section>`}
${databases.length > 1 ? overview(databases) : ''}
${databases.map(section).join('\n')}
</main>
</body>
</html>
`
}

function overview(databases: readonly ReportedDatabase[]): string {
  const rows = databases.map(({ name, passed, restore }) => {
    const cells = restore.restored
      ? [span(restore.durationMs), span(restore.ageMs), html(formatBytes(restore.bytes))]
      : ['', '', '']
    return `<tr><th scope="row">${html(name)}</th><td>${mark(passed)}</td>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  return `<section><h2>Databases</h2><div class="wide"><table>
<thead><tr><th scope="col">Database</th><th scope="col">Result</th><th scope="col">Restore took (RTO)</th><th scope="col">Age of the newest state (RPO)</th><th scope="col">Size</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div></section>`
}

function section(database: ReportedDatabase): string {
  const { name, passed, failures, restore, verdict, depth, files, bytes, defects } = database
  const read = depth === 'full' ? 'every object read' : 'names and sizes only'
  const facts = [
    ['Objects', `${verdict}: ${plural(files, 'file')}, ${formatBytes(bytes)}, ${read}`],
    ...restoreFacts(restore),
  ]
  return `<section>
<h2>${html(name)} ${mark(passed)}</h2>
${failures.length === 0 ? '' : `<ul class="bad">${failures.map((text) => `<li>${html(text)}</li>`).join('')}</ul>`}
<dl>${facts.map(([term = '', text = '']) => `<dt>${html(term)}</dt><dd>${html(text)}</dd>`).join('')}</dl>
${restore.restored ? assertions(restore.assertions) : ''}
${defects.length === 0 ? '' : `<h3>Defects</h3><ul>${defects.map(({ code, message }) => `<li>${html(code)}: ${html(message)}</li>`).join('')}</ul>`}
</section>`
}

function restoreFacts(restore: ReportedRestore): string[][] {
  if (!restore.restored) return [['Restore', `refused: ${restore.message}`]]
  const { durationMs, ageMs, maxAgeMs, txid, bytes, comparison } = restore
  const limit = maxAgeMs === undefined ? '' : `, at most ${formatSpan(maxAgeMs)} allowed`
  const age = ageMs === undefined ? 'not known' : `${formatSpan(ageMs)}${limit}`
  const state = `TXID ${BigInt(`0x${txid}`)}${restore.time === undefined ? '' : `, ${restore.time}`}`
  return [
    ['Restore took (RTO)', `${formatSpan(durationMs)}, with the integrity check of SQLite`],
    ['Age of the newest state (RPO)', age],
    ['Restored state', `${state}, ${formatBytes(bytes)}`],
    ...(comparison === undefined ? [] : [['Live database', comparison.outcome]]),
  ]
}

function assertions(
  results: (ReportedRestore & { readonly restored: true })['assertions'],
): string {
  if (results.length === 0) return ''
  const rows = results.map(({ sql, passed, value, error, durationMs }) => {
    const found = html(error ?? value ?? '')
    return `<tr><td>${mark(passed)}</td><td><code>${html(sql)}</code></td><td>${found}</td><td>${span(durationMs)}</td></tr>`
  })
  return `<h3>Assertions</h3><div class="wide"><table>
<thead><tr><th scope="col">Result</th><th scope="col">SQL</th><th scope="col">Found</th><th scope="col">Took</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>`
}

function mark(passed: boolean): string {
  return passed ? '<span class="mark good">passed</span>' : '<span class="mark bad">failed</span>'
}

function span(ms: number | undefined): string {
  return ms === undefined ? '' : html(formatSpan(ms))
}

function time(text: string): string {
  return `<time datetime="${html(text)}">${html(text.replace('T', ' ').replace(/\.\d+Z$/, ' UTC'))}</time>`
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function html(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] as string)
}

const STYLE = `
:root { --bg: #f7f7f5; --card: #fff; --text: #1d2126; --dim: #565d66; --line: #dcdcd6; --good: #1a6b3c; --bad: #a3261d; }
@media (prefers-color-scheme: dark) {
  :root { --bg: #14171a; --card: #1d2125; --text: #e8e9ea; --dim: #a5adb6; --line: #343a41; --good: #6fcf97; --bad: #ff8f85; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 16px; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 17px; margin: 0 0 8px; }
h3 { font-size: 15px; margin: 12px 0 4px; }
p, ul { margin: 4px 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px; margin: 12px 0; }
.dim, dt { color: var(--dim); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.mark { display: inline-block; border: 1px solid currentColor; border-radius: 6px; padding: 0 6px; font-size: 13px; font-weight: 600; vertical-align: middle; white-space: nowrap; }
dl { display: grid; grid-template-columns: minmax(140px, auto) 1fr; gap: 2px 14px; margin: 0; }
dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 4px 10px 4px 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--dim); font-weight: 400; }
code { font: 13px/1.5 ui-monospace, monospace; }
@media (max-width: 520px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } }
`
