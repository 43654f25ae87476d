import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canBegin, safeStart } from '../../../src/backends/shared/list-bounds.ts'
import { putParts } from '../../../src/backends/shared/put-parts.ts'
import { putBody } from '../../../src/core/store/driver/put-body.ts'
import { assertKey, type PutBody } from '../../../src/core/store/index.ts'

const signal = new AbortController().signal

async function cut(body: PutBody, partBytes: number): Promise<{ sizes: number[]; all: Buffer }> {
  const parts: Uint8Array[] = []
  let lasts = 0
  const bounds = { key: 'k', maxObjectBytes: Number.MAX_SAFE_INTEGER, signal }
  for await (const part of putParts(putBody(body, bounds), partBytes)) {
    parts.push(Buffer.from(part.bytes))
    if (part.last) lasts++
    else expect(lasts).toBe(0)
  }
  expect(lasts).toBe(1)
  return { sizes: parts.map(({ length }) => length), all: Buffer.concat(parts) }
}

describe('parts of a put', () => {
  it('are all of one size but the last, and together the body', async () => {
    const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(
        chunks,
        fc.integer({ min: 1, max: 50 }),
        fc.boolean(),
        async (list, partBytes, sized) => {
          const whole = Buffer.concat(list)
          const size = sized ? whole.length : undefined
          // A chunk may be reused by its owner as soon as the next one is asked for.
          function* reused() {
            const shared = new Uint8Array(40)
            for (const chunk of list) {
              shared.set(chunk)
              yield shared.subarray(0, chunk.length)
            }
          }
          for (const body of [whole, { size, open: reused }]) {
            const { sizes, all } = await cut(body, partBytes)
            expect(all.equals(whole)).toBe(true)
            expect(sizes.length).toBe(Math.max(1, Math.ceil(whole.length / partBytes)))
            expect(sizes.slice(0, -1).every((length) => length === partBytes)).toBe(true)
          }
        },
      ),
    )
  })
})

describe('bounds of a listing', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.string({ unit: fc.constantFrom('a', 'Z', '0', '.', '/', '-', '=', '_'), maxLength: 20 }),
  )

  it('every beginning of a legal key is accepted, and nothing that is refused begins one', () => {
    fc.assert(
      fc.property(text, (key) => {
        if (isLegal(key)) {
          for (let end = 0; end <= key.length; end++) expect(canBegin(key.slice(0, end))).toBe(true)
        }
        // What can begin a key does so with one more letter.
        if (canBegin(key)) expect(isLegal(`${key}x`)).toBe(true)
      }),
    )
  })

  it('a safe start never sorts after the requested one', () => {
    fc.assert(
      fc.property(text, (startAfter) => {
        const start = safeStart(startAfter)
        expect(canBegin(start)).toBe(true)
        expect(startAfter.startsWith(start)).toBe(true)
        if (canBegin(startAfter)) expect(start).toBe(startAfter)
      }),
    )
  })
})

function isLegal(key: string): boolean {
  try {
    assertKey(key, 'list')
    return true
  } catch {
    return false
  }
}
