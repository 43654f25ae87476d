import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { codeBlocks, regionOf } from '../support/docs-code.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const blocks = codeBlocks(readFileSync(`${root}docs/guides/library.md`, 'utf8'))

it('the guide to the library has the policy and three middlewares', () => {
  expect(blocks).toHaveLength(4)
})

it.each(blocks)('$file#$region is the code of the example', ({ file, region, code }) => {
  expect(code).toBe(regionOf(readFileSync(root + file, 'utf8'), region))
})
