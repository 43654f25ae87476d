/** Shows what `/api/overview` and the states of one database say; writes text nodes only, never HTML. */
export const PAGE_SCRIPT = String.raw`
'use strict'
const SHOWN = 100
const PRICES = { put: 5, list: 5, get: 0.4, head: 0.4, delete: 0, deleteMany: 0, check: 0.4 }
const $ = (id) => document.getElementById(id)
const make = (tag, className, text) => {
  const element = document.createElement(tag)
  if (className) element.className = className
  if (text !== undefined) element.textContent = text
  return element
}
const bytes = (n) => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let i = 0
  while (n >= 1000 && i < 4) { n /= 1000; i++ }
  return (n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)) + ' ' + units[i]
}
const span = (ms) => ms < 1000 ? Math.round(ms) + ' ms' : ms < 120000 ? (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + ' s' : ms < 7200000 ? Math.round(ms / 60000) + ' min' : Math.round(ms / 3600000) + ' h'
const when = (text) => text ? new Date(text).toLocaleString() : 'never'
const GOOD = ['replicating', 'standby']
const BAD = ['failing', 'fenced', 'stopped']
let data
let chosen
let states = []

function rank(one) {
  return data.trouble.includes(one.name) ? 0 : GOOD.includes(one.state) ? 2 : 1
}

function chart(lags) {
  const NS = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(NS, 'svg')
  svg.setAttribute('viewBox', '0 0 120 28')
  svg.setAttribute('preserveAspectRatio', 'none')
  svg.setAttribute('role', 'img')
  const most = Math.max(1000, ...lags)
  svg.setAttribute('aria-label', 'Lag over the last ' + span(lags.length * data.sampleMs) + ', at most ' + span(Math.max(0, ...lags)))
  const base = document.createElementNS(NS, 'line')
  for (const [key, value] of Object.entries({ x1: 0, x2: 120, y1: 27, y2: 27 })) base.setAttribute(key, value)
  const line = document.createElementNS(NS, 'polyline')
  line.setAttribute('points', lags.map((lag, i) => (120 - lags.length + i + 1) + ',' + (26 - 24 * lag / most)).join(' '))
  svg.append(base, line)
  return svg
}

function row(one) {
  const item = make('li')
  const button = make('button', 'database')
  button.type = 'button'
  button.setAttribute('aria-pressed', String(one.name === chosen))
  const isTrouble = data.trouble.includes(one.name)
  const kind = isTrouble || BAD.includes(one.state) ? 'bad' : GOOD.includes(one.state) ? 'good' : 'warn'
  button.append(
    make('span', 'name', one.name),
    make('span', 'state ' + kind, isTrouble && GOOD.includes(one.state) ? 'in trouble' : one.state),
    make('span', 'dim', one.lagMs === undefined ? '' : 'lag ' + span(one.lagMs)),
    make('span', 'dim', one.lastSyncAt ? 'synced ' + new Date(one.lastSyncAt).toLocaleTimeString() : 'not synced yet'),
    make('span', 'dim', one.replicaBytes === undefined ? '' : bytes(one.replicaBytes)),
    chart(data.lags[one.name] || []),
  )
  const reason = one.lastError || one.reason
  if (reason) button.append(make('span', kind === 'bad' ? 'reason bad' : 'reason', reason))
  button.addEventListener('click', () => choose(one.name))
  item.append(button)
  return item
}

function showDatabases() {
  const wanted = $('search').value.trim().toLowerCase()
  const all = data.status.databases
    .filter((one) => !wanted || one.name.toLowerCase().includes(wanted) || one.path.toLowerCase().includes(wanted))
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1))
  const focused = document.activeElement && document.activeElement.closest('li')
  const at = focused ? [...$('databases').children].indexOf(focused) : -1
  $('databases').replaceChildren(...all.slice(0, SHOWN).map(row))
  if (at >= 0) $('databases').children[at]?.firstChild.focus()
  $('more').hidden = all.length <= SHOWN
  $('more').textContent = (all.length - SHOWN) + ' more; search for a name.'
}

function showSummary() {
  const { databases, walsync, pid, uptimeMs } = data.status
  const bad = data.trouble.length
  $('summary').textContent = databases.length + (databases.length === 1 ? ' database, ' : ' databases, ') +
    (bad === 0 ? 'all well' : bad + ' in trouble') + ' · version ' + walsync + ', process ' + pid + ', up ' + span(uptimeMs)
  document.title = (bad === 0 ? '' : '(' + bad + ') ') + 'walsync'
}

function showList(id, entries, empty, describe) {
  const items = entries.slice(0, 100).map((entry) => {
    const item = make('li')
    item.append(make('time', '', when(entry.time)), document.createTextNode(describe(entry)))
    return item
  })
  $(id).replaceChildren(...(items.length > 0 ? items : [make('li', 'dim', empty)]))
}

function eventText({ event, database, reason, error, path, txid }) {
  const why = reason || (error && error.message) || path || (txid ? 'TXID ' + BigInt('0x' + txid) : '')
  return (database || '') + ': ' + event.replaceAll('-', ' ') + (why ? ' – ' + why : '')
}

function verificationText(entry) {
  if (entry.event === 'verify-failed') return entry.database + ': could not be verified – ' + (entry.error ? entry.error.message : '')
  return entry.database + ': ' + entry.verdict + ', ' + entry.files + ' files, ' + bytes(entry.bytes) + ' read in ' + span(entry.ms)
}

function drillText(entry) {
  if (!entry.passed) return entry.database + ': failed – ' + entry.failures.join(' ')
  return entry.database + ': passed, ' + bytes(entry.bytes) + ' restored in ' + span(entry.ms) +
    (entry.ageMs === undefined ? '' : entry.ageMs === 0 ? ', nothing was missing' : ', the state was ' + span(entry.ageMs) + ' old')
}

function prices() {
  try { return { ...PRICES, ...JSON.parse(localStorage.getItem('walsync-prices') || '{}') } } catch { return PRICES }
}

function showCost() {
  if (document.activeElement?.className === 'price') return
  const price = prices()
  let total = 0
  const rows = Object.entries(data.today.requests).map(([kind, count]) => {
    const cost = count * price[kind] / 1e6
    total += cost
    const line = make('tr')
    const cell = make('td')
    const input = make('input', 'price')
    Object.assign(input, { type: 'number', min: '0', step: '0.1', value: String(price[kind]) })
    input.setAttribute('aria-label', 'Dollars per million ' + kind + ' requests')
    input.addEventListener('change', () => {
      localStorage.setItem('walsync-prices', JSON.stringify({ ...prices(), [kind]: Number(input.value) || 0 }))
    })
    cell.append(input)
    line.append(make('td', '', kind), make('td', '', count.toLocaleString()), cell, make('td', '', cost.toFixed(4)))
    return line
  })
  $('cost').tBodies[0].replaceChildren(...rows)
  $('bytes').textContent = bytes(data.today.uploadedBytes) + ' uploaded, about $' + total.toFixed(4) + ' for requests since midnight UTC. Prices are yours to edit.'
}

const quoted = (text) => /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'"

function showState() {
  const one = data.status.databases.find(({ name }) => name === chosen)
  const state = states[Number($('scrubber').value)]
  if (!one || !state) {
    $('state').textContent = 'There is no state to restore yet.'
    $('command').textContent = ''
    $('plan').textContent = ''
    return
  }
  const txid = BigInt('0x' + state.txid)
  const text = 'TXID ' + txid + ', ' + when(state.time)
  $('state').textContent = text
  $('scrubber').setAttribute('aria-valuetext', text)
  const name = one.name.includes('://') ? one.name.slice(one.name.lastIndexOf('/') + 1) : one.name
  const bucket = (one.replica || '').endsWith('/' + name) ? one.replica.slice(0, -name.length - 1) : one.replica || ''
  $('command').textContent = 'walsync restore ' + quoted(name) + ' -b ' + quoted(bucket) + ' -o restored.db --txid ' + txid
  $('plan').textContent = 'Reads ' + state.files + (state.files === 1 ? ' object, ' : ' objects, ') + bytes(state.bytes) +
    '; about ' + span(200 + state.files * 15 + state.bytes / 50000) + ' at 50 MB/s.'
}

async function choose(name) {
  chosen = name
  showDatabases()
  const answer = await fetch('/api/databases/' + encodeURIComponent(name) + '/states')
  states = answer.ok ? (await answer.json()).states : []
  $('detail').hidden = false
  $('detail-title').textContent = name
  const one = data.status.databases.find((database) => database.name === name)
  $('detail-path').textContent = one ? one.path + (one.replica ? ' → ' + one.replica : '') : ''
  $('scrubber').max = String(Math.max(0, states.length - 1))
  $('scrubber').value = $('scrubber').max
  $('scrubber').disabled = states.length < 2
  showState()
}

async function refresh() {
  try {
    const answer = await fetch('/api/overview')
    if (!answer.ok) throw new Error('it answers ' + answer.status)
    data = await answer.json()
    showSummary()
    showDatabases()
    showList('events', data.events, 'Nothing has happened yet.', eventText)
    showList('verifications', data.verifications, 'None yet: set --verify-interval.', verificationText)
    showList('drills', data.drills, 'None yet: set --drill-interval.', drillText)
    showCost()
    if (!chosen && data.status.databases.length > 0) await choose(data.status.databases.slice().sort((a, b) => rank(a) - rank(b))[0].name)
  } catch (error) {
    $('summary').textContent = 'The watcher does not answer: ' + error.message
  }
}

$('search').addEventListener('input', () => data && showDatabases())
$('scrubber').addEventListener('input', showState)
refresh()
setInterval(() => { if (!document.hidden) refresh() }, 5000)
document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh() })
`
