import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signingKey } from '../../../src/cli/args/kinds.ts'
import { Receiver } from '../../../src/cli/notify/receiver.ts'
import { webhookHeaders } from '../../../src/cli/notify/webhook.ts'
import { scratchFolder } from '../run-cli.ts'
import { Listener } from './listener.ts'

const page = fileURLToPath(new URL('../../../docs/guides/monitoring.md', import.meta.url))
const folder = scratchFolder()
let isGenuine: (headers: object, body: string, secret: string) => boolean

beforeAll(async () => {
  const code = /```js\n([\s\S]*?)```/.exec(readFileSync(page, 'utf8'))?.[1] ?? ''
  const file = join(folder.path, 'signature.mjs')
  writeFileSync(file, code)
  isGenuine = (await import(pathToFileURL(file).href)).isGenuine
})
afterAll(() => folder.remove())

const BODY = '{"text":"Zürich – 1 database"}'
const CODED = `whsec_${Buffer.from('sixteen bytes or more').toString('base64')}`

/** What a receiver gets of a signed message. */
async function delivered(secret: string, sentAt = new Date()) {
  const listener = await Listener.start()
  try {
    const key = signingKey().parse(secret)
    const headers = webhookHeaders('an-id', sentAt, BODY, key)
    const receiver = new Receiver(new URL(listener.url('/')))
    await receiver.send({ method: 'POST', headers, body: BODY }, new AbortController().signal)
    const [received] = listener.received
    return received!
  } finally {
    await listener.stop()
  }
}

describe('the check of a signature in docs/guides/monitoring.md', () => {
  it.each([CODED, 'any text of sixteen characters'])(
    'takes a message signed with %s',
    async (secret) => {
      const { headers, body } = await delivered(secret)
      expect(isGenuine(headers, body, secret)).toBe(true)
    },
  )

  it('refuses messages that were changed, are old, or were signed by somebody else', async () => {
    const { headers, body } = await delivered(CODED)
    expect(isGenuine(headers, `${body} `, CODED)).toBe(false)
    expect(isGenuine({ ...headers, 'webhook-id': 'another' }, body, CODED)).toBe(false)
    expect(isGenuine(headers, body, 'another secret, as long')).toBe(false)
    expect(isGenuine({ ...headers, 'webhook-signature': undefined }, body, CODED)).toBe(false)
    const old = await delivered(CODED, new Date(Date.now() - 600_000))
    expect(isGenuine(old.headers, old.body, CODED)).toBe(false)
  })
})

it('a signature is the one of the example in the Standard Webhooks specification', () => {
  const body = '{"test": 2432232314}'
  const key = signingKey().parse('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  const sentAt = new Date(1_614_265_330_000)
  const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek'
  expect(webhookHeaders(id, sentAt, body, key)).toEqual({
    'webhook-id': id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  })
})
