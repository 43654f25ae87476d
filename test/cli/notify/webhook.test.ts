import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startNotice } from '../../../src/cli/notify/notice.ts'
import { Receiver } from '../../../src/cli/notify/receiver.ts'
import { Webhook } from '../../../src/cli/notify/webhook.ts'
import type { Logger } from '../../../src/cli/output/logger.ts'
import { until } from '../../support/until.ts'
import { Listener, nobody } from './listener.ts'

const PATH = '/hook/T0KEN-0123456789'
let listener: Listener
let lines: string[]
let count = 0

beforeEach(async () => {
  listener = await Listener.start()
  lines = []
})
afterEach(() => listener.stop())

function webhook(url = listener.url(PATH)): Webhook {
  const at = (level: string) => (_: object, text: string) => {
    if (level !== 'debug') lines.push(`${level} ${text}`)
  }
  const logger = Object.fromEntries(
    ['debug', 'info', 'warn', 'error'].map((level) => [level, at(level)]),
  ) as unknown as Logger
  const receiver = new Receiver(new URL(url))
  return new Webhook({ receiver, key: undefined, logger, firstPauseMs: 1 })
}

function notice() {
  const first = { kind: 'lagging', group: 'lagging', reason: `${++count} s` } as const
  const databases = new Set(['app'])
  const incident = { id: 'incident', kind: first.kind, since: 0, first, databases }
  return startNotice(incident, { host: 'h', pid: 1, walsync: '1.2.3' }, new Date())
}

const bodies = () => listener.received.map(({ body }) => JSON.parse(body))

describe('a webhook', () => {
  it('is sent the same message with the same id until it takes it, and then the next', async () => {
    listener.answer = 500
    const hook = webhook()
    const [first, second] = [notice(), notice()]
    hook.add(first)
    hook.add(second)
    await until(() => listener.received.length >= 3)
    listener.answer = 200
    await until(() => hook.counts.delivered === 2)
    const ids = bodies().map(({ id }) => id)
    expect(new Set(ids.slice(0, -1))).toEqual(new Set([first.id]))
    expect(ids.at(-1)).toBe(second.id)
    for (const { headers, method, body } of listener.received) {
      expect(method).toBe('POST')
      expect(headers).toMatchObject({ 'content-type': 'application/json' })
      expect(headers['webhook-id']).toBe(JSON.parse(body).id)
      expect(headers['webhook-signature']).toBeUndefined()
    }
    expect(new Set(listener.received.slice(0, -1).map(({ body }) => body)).size).toBe(1)
    expect(lines).toEqual([
      'warn webhook messages do not arrive: it answered 500',
      'info webhook messages arrive again',
    ])
  })

  it('gives up on a message after ten attempts, logs it, and reports the loss with the next message', async () => {
    listener.answer = 302
    const hook = webhook()
    const [first, second] = [notice(), notice()]
    hook.add(first)
    await until(() => hook.counts.failed === 1)
    expect(listener.received).toHaveLength(10)
    expect(lines.at(-1)).toBe(
      `error a webhook message is given up: ${first.text} (it answered 302, a redirect; give the URL that it leads to)`,
    )
    listener.answer = 204
    hook.add(second)
    await until(() => hook.counts.delivered === 1)
    expect(bodies().at(-1)).toMatchObject({ id: second.id, lostBefore: 1 })
  })

  it('keeps the newest 100 messages while it is stuck, and counts the others', async () => {
    listener.answer = 'hang'
    const hook = webhook()
    const all = Array.from({ length: 130 }, () => notice())
    hook.add(all[0]!)
    await until(() => listener.open.size === 1)
    for (const each of all.slice(1)) hook.add(each)
    expect(hook.counts.dropped).toBe(30)
    expect(lines).toHaveLength(30)
    listener.answer = 200
    for (const response of listener.open) response.end()
    await until(() => hook.counts.delivered === 100)
    expect(bodies().map(({ id }) => id)).toEqual([all[0], ...all.slice(31)].map((n) => n!.id))
  })

  it('reports what was lost while a message was in flight with the one after it', async () => {
    listener.answer = 'hang'
    const hook = webhook()
    const all = Array.from({ length: 103 }, () => notice())
    hook.add(all[0]!)
    await until(() => listener.open.size === 1)
    for (const each of all.slice(1)) hook.add(each)
    expect(hook.counts.dropped).toBe(3)
    listener.answer = 200
    for (const response of listener.open) response.end()
    await until(() => hook.counts.delivered === 100)
    const told = bodies().map(({ lostBefore }) => lostBefore)
    expect(told).toEqual([0, 3, ...Array.from({ length: 98 }, () => 0)])
  })

  it('takes a password with a % in its URL as it is', async () => {
    const hook = webhook(listener.url(PATH).replace('://', '://me:100%sure@'))
    hook.add(notice())
    await until(() => hook.counts.delivered === 1)
    const authorization = `Basic ${Buffer.from('me:100%sure').toString('base64')}`
    expect(listener.received[0]?.headers).toMatchObject({ authorization })
    expect(listener.received[0]?.path).toBe(PATH)
  })

  it('gets a short time for pending messages when the process ends', async () => {
    listener.answer = 'hang'
    const hook = webhook()
    hook.add(notice())
    hook.add(notice())
    await until(() => listener.open.size === 1)
    await hook.close(20)
    expect(hook.counts).toEqual({ delivered: 0, failed: 0, dropped: 2 })
    expect(listener.received).toHaveLength(1)
    expect(lines.at(-1)).toMatch(/^error 2 webhook messages were not sent: /)
  })

  it('is tried at once when the process ends, although a pause was due', async () => {
    const away = await nobody(PATH)
    const hook = webhook(away)
    hook.add(notice())
    await until(() => lines.length > 0)
    await hook.close(10_000)
    expect(hook.counts).toEqual({ delivered: 0, failed: 1, dropped: 0 })
    expect(lines[0]).toMatch(/^warn webhook messages do not arrive: connect ECONNREFUSED/)
    expect(lines.join()).not.toContain('T0KEN')
  })
})
